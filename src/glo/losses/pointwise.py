"""Losses that look at each pixel alone."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from glo.losses.base import Loss, masked_difference, row_mean

__all__ = ["AbsoluteError", "SquaredError"]


@final
@dataclass(frozen=True, kw_only=True)
class SquaredError(Loss):
    """Average (x - y)^2 over the observed pixels of each row.

    Example:
        >>> import torch
        >>> SquaredError()(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
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
class AbsoluteError(Loss):
    """Average |x - y| over the observed pixels of each row.

    Example:
        >>> import torch
        >>> AbsoluteError()(torch.tensor([[1.0, -3.0]]), torch.zeros(1, 2))
        tensor([2.])
    """

    def __call__(
        self, prediction: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Return the mean absolute error of each row, (B,)."""
        difference, weight = masked_difference(prediction, target, observed)
        return row_mean(difference.abs(), weight)
