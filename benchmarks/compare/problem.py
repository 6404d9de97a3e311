"""Task of all methods: data, budget, code size, and the decoder that they share."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_source
from glo.decoders import DCGAN
from glo.utils.random import permutation
from glo.utils.row_ranges import evenly_spaced

__all__ = ["Problem"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Task of all methods at one budget and seed.

    Args:
        data: "mnist" or a folder of IDX files.
        root: folder of the study.
        seconds: CPU seconds a method may learn for, its sampler included.
        seed: seed of everything random.
        n: number of training images, the first ones; None: all.
        n_samples: number of samples, of reconstructed training images, and of test images that
            they are compared with.
        n_heldout: number of test images that are reconstructed.
        width: width of the decoder.
        code_dim: D.
        batch: examples in a step.
    """

    data: str
    root: Path
    seconds: float = 480.0
    seed: int = 0
    n: int | None = None
    n_samples: int = 10_000
    n_heldout: int = 1000
    width: int = 64
    code_dim: int = 32
    batch: int = 128

    @property
    def shared(self) -> Path:
        """Folder of all budgets and seeds of the data."""
        return self.root / Path(self.data).name

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        part = f"-n{self.n}" if len(self.train) < len(self.whole) else ""
        return self.shared / f"{self.seconds:g}s-seed{self.seed}{part}"

    @property
    def whole(self) -> Dataset:
        """All training images, 32 x 32."""
        return _open(self.data, "train")

    @cached_property
    def train(self) -> Dataset:
        """The training images of the methods."""
        return self.whole.subset(np.arange(min(self.n or len(self.whole), len(self.whole))))

    @property
    def test(self) -> Dataset:
        """Test images."""
        return _open(self.data, "test")

    @property
    def rebuilt_rows(self) -> Tensor:
        """Evenly spaced training rows for measuring reconstructions."""
        return evenly_spaced(len(self.train), min(self.n_samples, len(self.train)))

    @property
    def heldout(self) -> Tensor:
        """Evenly spaced test images for measuring reconstructions, (n, C, H, W)."""
        rows = evenly_spaced(len(self.test), min(self.n_heldout, len(self.test)))
        return self.test.batch(rows)

    def decoder(self) -> DCGAN:
        """Return the decoder of every method, with initial weights."""
        torch.manual_seed(self.seed)
        return DCGAN(code_dim=self.code_dim, shape=self.train.shape, width=self.width)

    def batches(self) -> Iterator[Tensor]:
        """Yield training batches in [-1, 1] endlessly, reshuffled every epoch."""
        epoch = 0
        while True:
            for rows in permutation(len(self.train), self.seed, epoch).split(self.batch):
                yield self.train.batch(rows)
            epoch += 1


@cache
def _open(data: str, split: str) -> Dataset:
    return open_source(data, SourceOptions(size=32, split=split))
