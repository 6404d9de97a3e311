"""Problem and result types of the methods."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from glo.config.presets import find_preset
from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions, open_source

__all__ = ["Method", "Problem", "every"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Task of all methods: images, preset, budget.

    Args:
        data: a folder with `train` and `heldout`: folders of images, as `benchmarks/emoji.py` makes
            them, or .npz files, as `benchmarks/avatars.py` does.
        preset: whose size, code size, width, loss and rates hold.
        seconds: CPU seconds a method may learn for; fitting the sampler comes on top.
        seed: of everything random.
        limit: training pictures used, or None for all; for trials.
        n_samples: drawn from each method.
    """

    data: Path
    preset: str
    seconds: float
    seed: int = 0
    limit: int | None = None
    n_samples: int = 450

    @cached_property
    def settings(self) -> Settings:
        """Settings of the preset."""
        return Settings(**find_preset(self.preset).settings, seed=self.seed, device="cpu")

    @cached_property
    def train(self) -> Dataset:
        """Training images."""
        return self._open("train", self.limit)

    @cached_property
    def heldout(self) -> Tensor:
        """Held-out images, (n, C, S, S) in [-1, 1]."""
        return every(self._open("heldout", None))

    def _open(self, part: str, limit: int | None) -> Dataset:
        options = SourceOptions(
            size=self.settings.size, channels=self.settings.channels, limit=limit
        )
        folder = self.data / part
        source = folder if folder.is_dir() else folder.with_suffix(".npz")
        return open_source(str(source), options)


@dataclass(frozen=True, kw_only=True)
class Method:
    """Result of a method; all images (n, C, S, S) in [-1, 1].

    Args:
        train: reconstructions of all training pictures.
        heldout: of all held-out pictures, by name of the way: "own", "search".
        samples: new pictures.
        cpu: CPU seconds of learning.
        fit_cpu: of fitting the sampler.
        epochs: passes over the training pictures.
        numbers: weights.
    """

    train: Tensor
    heldout: dict[str, Tensor]
    samples: Tensor
    cpu: float
    fit_cpu: float
    epochs: float = 0.0
    numbers: int = 0
    facts: dict[str, float] = field(default_factory=dict)


def every(samples: Dataset) -> Tensor:
    """Return all images of a data set, (N, C, S, S) in [-1, 1]."""
    return samples.batch(torch.arange(len(samples)))
