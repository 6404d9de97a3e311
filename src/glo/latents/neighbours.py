"""Nearest-neighbour search in blocks of rows."""

from collections.abc import Iterator

import torch
from torch import Tensor

from glo.errors import UserError

# Rows, and numbers, of one block of distances.
_MAX_ROWS, _MAX_NUMBERS = 2048, 2**24


def distance_blocks(queries: Tensor, points: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield a slice of queries (n, d) and their Euclidean distances to all m >= 1 points (m, d).

    Memory does not grow with n m. Distances come from a matrix product, so a query that equals a
    point has a distance of rounding size; pass centered float64 where that matters.
    """
    size = max(1, min(_MAX_ROWS, _MAX_NUMBERS // len(points)))
    for start in range(0, len(queries), size):
        block = queries[start : start + size]
        yield slice(start, start + len(block)), torch.cdist(block, points)


def nearest(queries: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance to the nearest of m >= 1 points (m, d), and its row, per query (n, d).

    Example:
        >>> nearest(torch.tensor([[1.0], [9.0]]), torch.tensor([[0.0], [5.0]]))
        (tensor([1., 4.]), tensor([0, 1]))
    """
    minima = [block.min(1) for _, block in distance_blocks(queries, points)]
    return torch.cat([m.values for m in minima]), torch.cat([m.indices for m in minima])


def neighbours(codes: Tensor, code: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the rows, int64 (k,), and distances of the k codes nearest to `code`, nearest first.

    At equal distance the lower row comes first. The distance of a code to itself is exactly 0. If
    k exceeds N, all codes are returned.

    Example:
        >>> neighbours(torch.tensor([[0.0], [5.0], [2.0]]), torch.tensor([1.5]), 2)
        (tensor([2, 0]), tensor([0.5000, 1.5000]))
    """
    if codes.ndim != 2 or code.shape != codes.shape[1:]:
        shapes = f"{tuple(code.shape)} and {tuple(codes.shape)}"
        raise UserError(f"code and codes have shapes {shapes}; give (D,) and (N, D).")
    if k < 1:
        raise UserError(f"k is {k}; give 1 or more neighbours.")
    # Differences, not a matrix product, so that equal codes have distance 0.
    distances = torch.cdist(codes, code[None], compute_mode="donot_use_mm_for_euclid_dist")[:, 0]
    # The order of equal distances is undefined in a partial sort.
    order = torch.sort(distances, stable=True)
    return order.indices[:k], order.values[:k]
