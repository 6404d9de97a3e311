"""What every loss is, and the two steps they share: a masked difference and a mean per row."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from glo.errors import UserError

__all__ = ["Loss", "masked_difference", "row_mean"]


class Loss(ABC):
    """Compare predictions with targets, one number per row.

    Values are means over the observed pixels, so they do not depend on B, C, H or W. A row of
    which nothing is observed gives 0. Whatever stands in hidden pixels, even NaN, has no influence
    and gets a gradient of exactly zero. Float64 stays float64; all else is computed in float32.

    Example:
        >>> from glo.losses import L1Loss
        >>> L1Loss()(torch.ones(2, 5), torch.zeros(2, 5))
        tensor([1., 1.])
    """

    @abstractmethod
    def __call__(
        self, prediction: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Return the loss of each row.

        Args:
            prediction: (B, *shape).
            target: (B, *shape).
            observed: positive where the target is known and 0 where it is hidden, of as many
                dimensions and broadcastable: (B, 1, H, W) or (B, F). None if all is known.

        Returns:
            float32 (B,), or float64 for float64 input.

        Raises:
            UserError: if the shapes disagree.
        """


def masked_difference(
    prediction: Tensor, target: Tensor, observed: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Subtract, with zeros where hidden, and return the mask as zeros and ones.

    Returns:
        The difference (B, *shape) and the weights, as `observed` in shape; None if all is known.

    Raises:
        UserError: if the shapes disagree.

    Example:
        >>> nan = float("nan")
        >>> masked_difference(torch.ones(1, 2), torch.tensor([[nan, 0.5]]), torch.tensor([[0, 1]]))
        (tensor([[0.0000, 0.5000]]), tensor([[0., 1.]]))
    """
    if prediction.shape != target.shape:
        raise UserError(
            f"The prediction has shape {tuple(prediction.shape)} and the target "
            f"{tuple(target.shape)}; they must be equal."
        )
    dtype = torch.promote_types(prediction.dtype, torch.float32)
    difference = prediction.to(dtype) - target.to(dtype)
    if observed is None:
        return difference, None
    _check_mask(observed, difference)
    seen = observed > 0
    # `where`, not a product: NaN times zero is NaN, forwards and backwards.
    return torch.where(seen, difference, torch.zeros_like(difference)), seen.to(dtype)


def row_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Average each row by `weight` (None: evenly); rows without any weight give 0.

    Example:
        >>> row_mean(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        tensor([2., 0.])
    """
    dims = tuple(range(1, values.ndim))
    if weight is None:
        return values.mean(dims)
    total = weight.expand_as(values).sum(dims)
    return (values * weight).sum(dims) / torch.where(total > 0, total, torch.ones_like(total))


def _check_mask(observed: Tensor, like: Tensor) -> None:
    # Equal dimensions are asked for because a (B,) mask of a (B, F) batch would broadcast over F.
    pairs = zip(observed.shape, like.shape, strict=False)
    if observed.ndim != like.ndim or any(own not in (1, side) for own, side in pairs):
        raise UserError(
            f"The mask has shape {tuple(observed.shape)}, which does not fit examples of shape "
            f"{tuple(like.shape)}; give (B, 1, H, W) for images or (B, F) for vectors."
        )
