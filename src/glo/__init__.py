"""Generative Latent Optimization: one decoder and one free latent code per example.

Bojanowski, Joulin, Lopez-Paz and Szlam, "Optimizing the Latent Space of Generative Networks",
ICML 2018. Names are imported when they are first used: `glo --help` must not wait for torch.

Example:
    >>> import glo
    >>> sorted(glo.__all__)[:3]
    ['Dataset', 'GLO', 'LatentCodes']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glo._version import __version__

if TYPE_CHECKING:
    from glo.config.settings import Settings
    from glo.data import Dataset, SourceOptions, open_source
    from glo.estimator.estimator import GLO, load
    from glo.latents.init import pca_codes
    from glo.latents.table import LatentCodes
    from glo.runs.run import Run, open_run
    from glo.workflows.train import TrainingRun

__all__ = [
    "GLO",
    "Dataset",
    "LatentCodes",
    "Run",
    "Settings",
    "SourceOptions",
    "TrainingRun",
    "__version__",
    "load",
    "open_run",
    "open_source",
    "pca_codes",
]


_HOMES = {
    "GLO": "glo.estimator.estimator",
    "LatentCodes": "glo.latents.table",
    "Run": "glo.runs.run",
    "Dataset": "glo.data",
    "TrainingRun": "glo.workflows.train",
    "Settings": "glo.config.settings",
    "SourceOptions": "glo.data",
    "load": "glo.estimator.estimator",
    "open_run": "glo.runs.run",
    "open_source": "glo.data",
    "pca_codes": "glo.latents.init",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'glo' has no attribute '{name}'")
