"""Losses that look at each pixel alone."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from glo.losses.base import Loss, masked_difference, row_mean

__all__ = ["L1Loss", "MSELoss", "l1", "mse"]


@final
@dataclass(frozen=True, kw_only=True)
class MSELoss(Loss):
    """Average (x - y)^2 over the observed pixels of each row.

    Example:
        >>> import torch
        >>> MSELoss()(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
        tensor([5.])
    """

    def __call__(
        self, prediction: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Return the mean squared error of each row, (B,)."""
        difference, weight = masked_difference(prediction, target, observed)
        return row_mean(difference.square(), weight)


@final
@dataclass(frozen=True, kw_only=True)
class L1Loss(Loss):
    """Average |x - y| over the observed pixels of each row.

    Example:
        >>> import torch
        >>> L1Loss()(torch.tensor([[1.0, -3.0]]), torch.zeros(1, 2))
        tensor([2.])
    """

    def __call__(
        self, prediction: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Return the mean absolute error of each row, (B,)."""
        difference, weight = masked_difference(prediction, target, observed)
        return row_mean(difference.abs(), weight)


mse = MSELoss()
"""Mean squared error of each row, (B,)."""
l1 = L1Loss()
"""Mean absolute error of each row, (B,)."""
