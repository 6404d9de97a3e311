"""Problem and result types of the methods."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_source
from glo.decoders import DCGAN
from glo.utils.files import atomic_write
from glo.utils.random import permutation
from glo.utils.row_ranges import evenly_spaced

__all__ = ["Made", "Problem", "write_atomically"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Task of all methods: data, decoder, code size and budget.

    Args:
        data: "mnist" or a folder of IDX files.
        folder: where results go.
        seconds: CPU seconds a method may learn for, its sampler included.
        n_samples: samples drawn, training images rebuilt, and test images compared with.
        width: of the decoder.
        code_dim: D.
        batch: examples in a step.
        seed: of everything random.
        limit: training images used, or None for all; for trials.
    """

    data: str
    folder: Path
    seconds: float = 360.0
    n_samples: int = 10_000
    width: int = 64
    code_dim: int = 32
    batch: int = 128
    seed: int = 0
    limit: int | None = None

    @cached_property
    def train(self) -> Dataset:
        """The training images, 32 x 32."""
        return open_source(self.data, SourceOptions(size=32, split="train", limit=self.limit))

    @cached_property
    def test(self) -> Dataset:
        """Test images."""
        return open_source(self.data, SourceOptions(size=32, split="test"))

    @cached_property
    def rebuilt_rows(self) -> Tensor:
        """Evenly spaced training rows for measuring reconstructions."""
        return evenly_spaced(len(self.train), min(self.n_samples, len(self.train)))

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


@dataclass(frozen=True, kw_only=True)
class Made:
    """Result of a method.

    Args:
        samples: (n, C, H, W) in [-1, 1].
        rebuilt: reconstructions of `Problem.rebuilt_rows`, or None for a method that has none.
        training: CPU and wall seconds of training.
        fitting: the same of the sampler.
        steps: updates of the decoder.
        notes: sentences for the reader.
        facts: anything else worth keeping, ready for JSON.
    """

    samples: Tensor
    rebuilt: Tensor | None
    training: dict[str, float]
    fitting: dict[str, float] = field(default_factory=lambda: {"cpu": 0.0, "wall": 0.0})
    steps: int = 0
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def write_atomically(path: Path, content: dict[str, Any] | str | np.ndarray) -> None:
    """Write JSON, text or an array atomically."""
    with atomic_write(path) as writing:
        if isinstance(content, np.ndarray):
            with writing.open("wb") as file:
                np.save(file, content, allow_pickle=False)
        else:
            text = content if isinstance(content, str) else json.dumps(content, indent=1) + "\n"
            writing.write_text(text, "utf-8")
