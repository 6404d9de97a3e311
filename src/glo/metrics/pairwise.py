"""Distances between all pairs of two sets of vectors, a block of rows at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["nearest_distance", "neighbour_radius", "squared_blocks"]

# Numbers in one block of distances: 128 MiB in double precision.
_BLOCK = 2**24


def squared_blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the squared Euclidean distances of some rows of `a` to all rows of `b`.

        |x - y|^2 = |x|^2 + |y|^2 - 2 x y

    In double precision about the mean of `b`: in single precision the three terms cancel, and the
    distance of a vector to itself would not be told from that to its nearest neighbour.

    Args:
        a: (n, d).
        b: (m, d).

    Yields:
        which rows of `a`, and their squared distances, float64 (rows, m), never below 0.

    Example:
        >>> next(squared_blocks(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 0.0], [0.0, 3.0]])))
        (slice(0, 1, None), tensor([[25.,  0.]], dtype=torch.float64))
    """
    centre = b.double().mean(0)
    x, y = a.double() - centre, b.double() - centre
    lengths = y.square().sum(1)
    size = max(1, _BLOCK // max(len(y), 1))
    for start in range(0, len(x), size):
        part = x[start : start + size]
        # One product that adds: |y|^2 - 2 x y.
        found = torch.addmm(lengths, part, y.T, alpha=-2.0)
        found += part.square().sum(1, keepdim=True)
        yield slice(start, start + len(part)), found.clamp_(min=0.0)


def nearest_distance(queries: Tensor, points: Tensor) -> Tensor:
    """Return the distance of each query to the nearest point.

    Args:
        queries: (n, d).
        points: (m, d), m at least 1.

    Returns:
        float64 (n,).

    Example:
        >>> nearest_distance(torch.tensor([[1.0], [9.0]]), torch.tensor([[0.0], [5.0]]))
        tensor([1., 4.], dtype=torch.float64)
    """
    found = [block.amin(1) for _, block in squared_blocks(queries, points)]
    return torch.cat(found).sqrt_()


def neighbour_radius(points: Tensor, k: int) -> Tensor:
    """Return the squared distance of each point to its k-th nearest other point.

    Args:
        points: (n, d), n above k.
        k: which neighbour, from 1.

    Returns:
        float64 (n,).

    Example:
        >>> neighbour_radius(torch.tensor([[-2.0], [-1.0], [3.0]]), k=1)
        tensor([ 1.,  1., 16.], dtype=torch.float64)
    """
    # The nearest of all is the point itself, at distance 0.
    found = [
        block.topk(k + 1, largest=False).values[:, k] for _, block in squared_blocks(points, points)
    ]
    return torch.cat(found)
