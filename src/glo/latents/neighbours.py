"""The codes nearest to a code."""

import torch
from torch import Tensor

from glo.errors import UserError

__all__ = ["neighbours"]

# Codes whose differences are in memory together.
_PIECE = 2**16


def neighbours(codes: Tensor, code: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the nearest codes, the nearest first; of two at the same distance the lower row.

    Differences are taken, not products, so the distance of a code to itself is exactly 0.

    Args:
        codes: (N, D).
        code: (D,).
        k: how many; all of them where N is smaller.

    Returns:
        rows, int64 (k,), and Euclidean distances, float32 (k,).

    Raises:
        UserError: the shapes do not fit, or k is below 1.

    Example:
        >>> neighbours(torch.tensor([[0.0], [5.0], [2.0]]), torch.tensor([1.5]), 2)
        (tensor([2, 0]), tensor([0.5000, 1.5000]))
    """
    if codes.ndim != 2 or code.shape != codes.shape[1:]:
        shapes = f"{tuple(code.shape)} among {tuple(codes.shape)}"
        raise UserError(f"Neighbours of shape {shapes} were asked for; give (D,) among (N, D).")
    if k < 1:
        raise UserError(f"k is {k}; give 1 or more neighbours.")
    distances = torch.cat([(part - code).norm(dim=1) for part in codes.split(_PIECE)])
    # A partial sort would leave the order of equal distances open.
    found = torch.sort(distances, stable=True)
    return found.indices[:k], found.values[:k]
