"""Generative Latent Optimization: one decoder and one free latent code per example.

Bojanowski, Joulin, Lopez-Paz and Szlam, "Optimizing the Latent Space of Generative Networks",
ICML 2018. Names are imported at first use, so that `glo --help` does not import torch.

Example:
    >>> import glo
    >>> sorted(glo.__all__)[:3]
    ['Callback', 'Dataset', 'EpochSampler']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glo._version import __version__

if TYPE_CHECKING:
    from glo import decoders, losses, metrics, priors
    from glo.config.settings import Settings
    from glo.data import Dataset, SourceOptions, open_source
    from glo.data.sampler import EpochSampler
    from glo.estimator.estimator import GLO, load
    from glo.export.tensorboard import TensorBoard
    from glo.imaging.previews import Previews
    from glo.inversion import invert
    from glo.latents.init import pca_codes
    from glo.latents.optim import RowAdam, RowSGD
    from glo.latents.table import LatentCodes
    from glo.runs.metrics_log import MetricsLog
    from glo.training.callbacks import Callback
    from glo.workflows.progress import ProgressBar
    from glo.workflows.run import Run, open_run
    from glo.workflows.train import default_callbacks, train

__all__ = [
    "GLO",
    "Callback",
    "Dataset",
    "EpochSampler",
    "LatentCodes",
    "MetricsLog",
    "Previews",
    "ProgressBar",
    "RowAdam",
    "RowSGD",
    "Run",
    "Settings",
    "SourceOptions",
    "TensorBoard",
    "__version__",
    "decoders",
    "default_callbacks",
    "invert",
    "load",
    "losses",
    "metrics",
    "open_run",
    "open_source",
    "pca_codes",
    "priors",
    "train",
]

_MODULES = {
    "GLO": "glo.estimator.estimator",
    "Callback": "glo.training.callbacks",
    "Dataset": "glo.data",
    "EpochSampler": "glo.data.sampler",
    "LatentCodes": "glo.latents.table",
    "MetricsLog": "glo.runs.metrics_log",
    "Previews": "glo.imaging.previews",
    "ProgressBar": "glo.workflows.progress",
    "RowAdam": "glo.latents.optim",
    "RowSGD": "glo.latents.optim",
    "Run": "glo.workflows.run",
    "Settings": "glo.config.settings",
    "SourceOptions": "glo.data",
    "TensorBoard": "glo.export.tensorboard",
    "default_callbacks": "glo.workflows.train",
    "invert": "glo.inversion",
    "load": "glo.estimator.estimator",
    "open_run": "glo.workflows.run",
    "open_source": "glo.data",
    "pca_codes": "glo.latents.init",
    "train": "glo.workflows.train",
}
_PACKAGES = ("decoders", "losses", "metrics", "priors")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"glo.{name}")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'glo' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
