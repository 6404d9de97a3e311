"""Standardizer: means and standard deviations of the columns of vectors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.utils.row_store import release_pages

__all__ = ["CONSTANT", "Standardizer", "column_moments"]

_CHUNK_VALUES = 2**22
CONSTANT = {"float32": 1e-6, "float64": 1e-12}
"""Share of the mean below which a standard deviation is rounding: the column is constant."""


@final
@dataclass(frozen=True, eq=False)
class Standardizer:
    """Mean and standard deviation of each column: x -> (x - shift) / scale and back.

    Attributes:
        shift: (F,), of the dtype of the rows, float32 or float64.
        scale: (F,) of that dtype, 1 for a column that is constant or wholly missing.
    """

    shift: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, rows: NDArray[Any]) -> Self:
        """Estimate the moments of each column of (N, F) from its observed values."""
        mean, scale = column_moments(rows)
        scale[scale <= CONSTANT[rows.dtype.name] * np.abs(mean)] = 1.0
        return cls(*(torch.from_numpy(each.astype(rows.dtype)) for each in (mean, scale)))

    def transform(self, vectors: Tensor) -> Tensor:
        """Return float32 vectors (B, F) of mean 0 and standard deviation 1; NaN stays NaN."""
        return ((vectors - self.shift) / self.scale).float()

    def inverse_transform(self, vectors: Tensor) -> Tensor:
        """Return standardized vectors (B, F) in the units of the data."""
        return vectors * self.scale + self.shift


def column_moments(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation, (F,), of the observed values of each column."""
    observed = sum((~np.isnan(chunk)).sum(0) for chunk in _chunks(rows))
    count = np.maximum(observed, 1)
    mean = sum(np.nansum(chunk, axis=0, dtype=np.float64) for chunk in _chunks(rows)) / count
    # In a second pass about the mean: a difference of large squares loses small deviations.
    squares = sum(np.nansum((chunk - mean) ** 2, axis=0) for chunk in _chunks(rows))
    return mean, np.sqrt(squares / count)


def _chunks(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _CHUNK_VALUES // rows.shape[1])
    for first in range(0, len(rows), step):
        chunk = rows[first : first + step]
        yield chunk
        release_pages(chunk)
