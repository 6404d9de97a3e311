"""Columns of vectors, each in units of its own: their means and standard deviations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.utils.mmap import release_pages

__all__ = ["Standardizer"]

_CHUNK_NUMBERS = 2**22
# A spread below this share of a column's size is rounding in float32: the column is flat.
_ROUNDING = 1e-6


@final
@dataclass(frozen=True, eq=False)
class Standardizer:
    """Mean and standard deviation of each column: x -> (x - shift) / scale and back.

    Attributes:
        shift: float32 (F,).
        scale: float32 (F,), 1 for a column that is flat or wholly missing.
    """

    shift: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, rows: NDArray[Any]) -> Self:
        """Measure what is known of each column.

        Args:
            rows: float32 (N, F), NaN where a value is missing.

        Example:
            >>> rows = np.array([[1.0, 7.0], [3.0, np.nan]], np.float32)
            >>> Standardizer.fit(rows)
            Standardizer(shift=tensor([2., 7.]), scale=tensor([1., 1.]))
        """
        step = max(1, _CHUNK_NUMBERS // rows.shape[1])
        parts = [rows[first : first + step] for first in range(0, len(rows), step)]
        known = sum((~np.isnan(part)).sum(0) for part in _one_by_one(parts))
        count = np.maximum(known, 1)
        total = sum(np.nansum(part, axis=0, dtype=np.float64) for part in _one_by_one(parts))
        mean = total / count
        # About the mean, in a second pass: a difference of large squares would lose small spreads.
        square = sum(np.nansum((part - mean) ** 2, axis=0) for part in _one_by_one(parts))
        spread = np.sqrt(square / count)
        spread[spread <= _ROUNDING * np.abs(mean)] = 1.0
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(spread).float())

    def standardise(self, vectors: Tensor) -> Tensor:
        """Return vectors (B, F) of mean 0 and deviation 1; NaN stays NaN."""
        return (vectors - self.shift) / self.scale

    def restore(self, vectors: Tensor) -> Tensor:
        """Return standardised vectors (B, F) in their own units."""
        return vectors * self.scale + self.shift


def _one_by_one(parts: list[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    for part in parts:
        yield part
        release_pages(part)
