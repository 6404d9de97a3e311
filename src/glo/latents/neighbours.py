"""Nearest-neighbour search in blocks of rows."""

from collections.abc import Iterator

import torch
from torch import Tensor

from glo.errors import UserError

__all__ = ["distance_blocks", "nearest", "neighbours"]

# Rows, and numbers, of one block of distances.
_MAX_ROWS, _MAX_NUMBERS = 2048, 2**24


def distance_blocks(queries: Tensor, points: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the Euclidean distances of a block of queries to all points.

    Memory does not grow with n m. Distances come from a matrix product, so a query that equals a
    point has a distance of rounding size; pass centered float64 where that matters.

    Args:
        queries: (n, d).
        points: (m, d), m at least 1.

    Yields:
        rows of `queries`, and their distances, (rows, m).

    Example:
        >>> next(
        ...     distance_blocks(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 0.0], [0.0, 3.0]]))
        ... )
        (slice(0, 1, None), tensor([[5., 0.]]))
    """
    size = max(1, min(_MAX_ROWS, _MAX_NUMBERS // len(points)))
    for start in range(0, len(queries), size):
        block = queries[start : start + size]
        yield slice(start, start + len(block)), torch.cdist(block, points)


def nearest(queries: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance to the nearest point, and its row, for each query.

    Args:
        queries: (n, d).
        points: (m, d), m at least 1.

    Returns:
        distances (n,), and rows, int64 (n,).

    Example:
        >>> nearest(torch.tensor([[1.0], [9.0]]), torch.tensor([[0.0], [5.0]]))
        (tensor([1., 4.]), tensor([0, 1]))
    """
    minima = [block.min(1) for _, block in distance_blocks(queries, points)]
    return torch.cat([m.values for m in minima]), torch.cat([m.indices for m in minima])


def neighbours(codes: Tensor, code: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the nearest codes, nearest first; at equal distance the lower row comes first.

    The distance of a code to itself is exactly 0.

    Args:
        codes: (N, D).
        code: (D,).
        k: number of neighbours, 1 or more; all codes where N is smaller.

    Returns:
        rows, int64 (k,), and Euclidean distances, float32 (k,).

    Raises:
        UserError: the shapes do not fit, or k is below 1.

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
