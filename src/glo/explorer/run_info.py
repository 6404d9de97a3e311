"""What a run is, in the numbers and words that the page opens with."""

import math
from pathlib import Path
from typing import Any

from glo._version import __version__
from glo.explorer.latent_space import LatentSpace
from glo.explorer.projections import chart_methods
from glo.explorer.run_watcher import RunWatcher

__all__ = ["run_info"]


def run_info(shelf: RunWatcher) -> dict[str, Any]:
    """Return what is known of a run, ready for JSON; all names are there in every state."""
    state = shelf.state
    run = shelf.run
    summary = run.summary or {}
    shape = run.data.shape
    facts: dict[str, Any] = {
        "name": run.data.name,
        "folder_name": Path(run.folder).resolve().name,
        "state": state,
        "kind": "image" if run.is_images else "vector",
        "shape": list(shape),
        "n": run.data.n,
        "code_dim": run.settings.code_dim,
        "constraint": run.settings.constraint,
        "epochs": run.settings.epochs_for(run.data.n),
        "mse": _figure(summary.get("mse")),
        "explained_variance": _figure(summary.get("explained_variance")),
        "psnr": _figure(summary.get("psnr")),
        "diagnosis": summary.get("diagnosis", []),
        "version": __version__,
    }
    return facts | _of_space(None if state == "empty" else shelf.space)


def _of_space(space: LatentSpace | None) -> dict[str, Any]:
    if space is None:
        return {
            "labels": [],
            "priors": [],
            "default_prior": None,
            "data": False,
            "map_methods": [],
            "can_sample": False,
            "tasks": [],
            "typical_residual": None,
        }
    searches = space.finished and len(space.codes) > 1 and space.run.is_images
    return {
        "labels": list(space.labels.names),
        "priors": space.priors,
        "default_prior": space.priors[0] if space.priors else None,
        "data": space.originals.samples is not None,
        "map_methods": chart_methods(space.codes),
        "can_sample": bool(space.priors),
        "tasks": ["inpaint"] if searches else [],
        "typical_residual": space.typical_error,
    }


def _figure(value: object) -> float | None:
    """Return a number that JSON can hold, or None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
