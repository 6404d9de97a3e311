"""The summary of a finished run, summary.json: errors, baselines and cost."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from glo.errors import UserError
from glo.metrics.reconstruction import psnr_from_mse
from glo.runs.data_record import DataRecord
from glo.training.diagnosis import Baselines, explained_variance
from glo.training.state import TrainState
from glo.utils.json_toml import read_json

__all__ = ["error_figures", "read_summary", "summarize"]

_NUMBERS = ("mse", "explained_variance", "seconds", "images_per_second")
# Vectors have no PSNR, Windows has no figure of memory, and after the removal of rows without
# recorded errors the worst error is unknown.
_OPTIONAL = ("psnr", "worst_mse", "peak_memory_mb")
_BASELINES = {"mean_image", "pca"}


def summarize(
    data: DataRecord,
    preset: str,
    training: TrainState,
    errors: Tensor,
    baselines: Baselines,
    *,
    code_travel: float,
    seconds: float,
    epochs: int | None = None,
) -> dict[str, Any]:
    """Return the figures of a finished run, without its diagnosis.

    Errors, (N,), are those of the final codes; seconds are those of all sessions together. `epochs`
    are those trained in these seconds, None for those of the state, which may be an earlier one.
    """
    state_epochs = training.step // training.steps_per_epoch
    steps = training.step if epochs is None else epochs * training.steps_per_epoch
    rows = steps * min(training.settings.batch_size, training.n)
    return {
        "data": {"name": data.name, "n": data.n, "shape": list(data.shape)},
        "preset": preset,
        "epochs": state_epochs,
        "steps": training.step,
        **error_figures(errors, baselines, images=len(data.shape) == 3),
        "code_travel": code_travel,
        "skipped_steps": training.skipped,
        "processes": training.ranks.size,
        "seconds": seconds,
        "images_per_second": rows / seconds,
        "peak_memory_mb": _peak_memory_mb(),
    }


def error_figures(errors: Tensor, baselines: Baselines, *, images: bool) -> dict[str, Any]:
    """Return the figures that follow from the errors of all rows, (N,); PSNR is in dB."""
    mse = float(errors.double().mean())
    return {
        "mse": mse,
        "psnr": float(psnr_from_mse(errors.double().mean().clamp(min=1e-12))) if images else None,
        "worst_mse": float(errors.max()),
        "baselines": asdict(baselines),
        "explained_variance": explained_variance(mse, baselines),
    }


def _peak_memory_mb() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Read the summary of a run; None while it is not finished, or where the file is damaged.

    The types of all figures that are displayed were checked.
    """
    try:
        values = read_json(folder / "summary.json")
    except (OSError, UserError):
        return None
    return values if isinstance(values, dict) and _is_complete(values) else None


def _is_complete(values: dict[str, Any]) -> bool:
    baselines, diagnosis, data = (values.get(name) for name in ("baselines", "diagnosis", "data"))
    if not (isinstance(baselines, dict) and isinstance(diagnosis, list) and isinstance(data, dict)):
        return False
    optional = [values[name] for name in _OPTIONAL if values.get(name) is not None]
    numbers = [data.get("n"), *(values.get(name) for name in _NUMBERS), *optional]
    return (
        baselines.keys() == _BASELINES
        and all(type(number) in (int, float) for number in (*numbers, *baselines.values()))
        and values["mse"] >= 0
        and all(isinstance(sentence, str) for sentence in diagnosis)
    )
