"""What came out of a run, in numbers: `summary.json` but for the diagnosis."""

import sys
from dataclasses import asdict
from typing import Any

from torch import Tensor

from glo.metrics.reconstruction import psnr_from_mse
from glo.runs.run import Run
from glo.training.diagnosis import Baselines, explained_variance
from glo.training.state import TrainState

__all__ = ["measured", "summarise"]


def summarise(
    run: Run,
    training: TrainState,
    errors: Tensor,
    baselines: Baselines,
    *,
    code_travel: float,
    seconds: float,
) -> dict[str, Any]:
    """Return the figures of a finished run.

    Args:
        run: its folder, settings and data.
        training: at its end.
        errors: (N,), squared error of each example under its final code.
        baselines: of the same examples.
        code_travel: mean distance of a code from where it began.
        seconds: spent on the run, all sittings together.

    Returns:
        names and values, ready for JSON; `psnr` in dB, None for vectors.
    """
    rows = training.step * min(run.settings.batch_size, training.n)
    return {
        "data": {"name": run.data.name, "n": run.data.n, "shape": list(run.data.shape)},
        "preset": run.preset,
        "epochs": run.settings.epochs_for(training.n),
        "steps": training.step,
        **measured(errors, baselines, images=run.is_images),
        "code_travel": code_travel,
        "skipped_steps": training.skipped,
        "processes": training.ranks.size,
        "seconds": seconds,
        "images_per_second": rows / seconds,
        "peak_memory_mb": _peak_memory_mb(),
    }


def measured(errors: Tensor, baselines: Baselines, *, images: bool) -> dict[str, Any]:
    """Return the figures that follow from the errors of all rows, (N,).

    Example:
        >>> import torch
        >>> found = measured(torch.tensor([0.1, 0.3]), Baselines(mean_image=1, pca=1), images=False)
        >>> round(found["mse"], 3), round(found["explained_variance"], 3)
        (0.2, 0.8)
    """
    mse = float(errors.double().mean())
    return {
        "mse": mse,
        "psnr": float(psnr_from_mse(errors.double().mean().clamp(min=1e-12))) if images else None,
        "worst_mse": float(errors.max()),
        "baselines": asdict(baselines),
        "explained_variance": explained_variance(mse, baselines),
    }


def _peak_memory_mb() -> float | None:
    try:
        import resource
    except ImportError:
        # Windows.
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
