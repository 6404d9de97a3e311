"""Losses of each pixel alone: squared and absolute error."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from glo.losses.base import Loss, masked_difference, row_mean


def mse(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute the mean squared error of each row over its known pixels.

    Args:
        output: (B, *shape).
        target: (B, *shape).
        mask: positive where the target is known, (B, 1 or C, H, W) or (B, F); None: everywhere.

    Returns:
        (B,), float32, or float64 for float64 input.

    Raises:
        UserError: the shapes disagree.

    Example:
        >>> import torch
        >>> mse(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
        tensor([5.])
    """
    difference, weight = masked_difference(output, target, mask)
    return row_mean(difference.square(), weight)


def l1(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute the mean absolute error of each row over its known pixels; arguments as for `mse`.

    Example:
        >>> import torch
        >>> l1(torch.tensor([[1.0, -3.0]]), torch.zeros(1, 2))
        tensor([2.])
    """
    difference, weight = masked_difference(output, target, mask)
    return row_mean(difference.abs(), weight)


@final
@dataclass(frozen=True, kw_only=True)
class MSELoss(Loss):
    """Mean squared error, `mse`, as a loss of the settings."""

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mean squared error of each row, (B,)."""
        return mse(output, target, mask)


@final
@dataclass(frozen=True, kw_only=True)
class L1Loss(Loss):
    """Mean absolute error, `l1`, as a loss of the settings."""

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mean absolute error of each row, (B,)."""
        return l1(output, target, mask)
