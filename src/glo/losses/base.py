"""Base class of the losses, and their two common steps: masked difference and mean per row."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from glo.errors import UserError


class Loss(ABC):
    """Base class of a loss: one number per row of a batch.

    Values are means over the known pixels, so they do not depend on B, C, H or W. A row without
    known pixels gives 0. Values of hidden pixels, even NaN, have no influence and get a gradient of
    exactly zero. Float64 stays float64; all else is computed in float32.

    Example:
        >>> from glo.losses import L1Loss
        >>> L1Loss()(torch.ones(2, 5), torch.zeros(2, 5))
        tensor([1., 1.])
    """

    @abstractmethod
    def __call__(self, output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss of each row.

        Args:
            output: decoded examples (B, *shape).
            target: examples (B, *shape).
            mask: positive where the target is known and 0 where it is hidden, of as many
                dimensions and broadcastable: (B, 1, H, W) or (B, F); None: all known.

        Returns:
            float32 (B,), or float64 for float64 input.

        Raises:
            UserError: the shapes disagree.
        """


def masked_difference(
    output: Tensor, target: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Subtract the target, with zeros where it is hidden, and binarize the mask."""
    if output.shape != target.shape:
        raise UserError(
            f"The output has shape {tuple(output.shape)} and the target {tuple(target.shape)}; "
            f"they must be equal."
        )
    dtype = torch.promote_types(output.dtype, torch.float32)
    difference = output.to(dtype) - target.to(dtype)
    if mask is None:
        return difference, None
    # Equal dimensions are required: a (B,) mask of a (B, F) batch would broadcast over F.
    pairs = zip(mask.shape, difference.shape, strict=False)
    if mask.ndim != difference.ndim or any(side not in (1, full) for side, full in pairs):
        raise UserError(
            f"The mask has shape {tuple(mask.shape)}, which does not fit examples of shape "
            f"{tuple(difference.shape)}; give (B, 1, H, W) for images or (B, F) for vectors."
        )
    known = mask > 0
    # `where`, not a product: NaN times zero is NaN, forwards and backwards.
    return torch.where(known, difference, torch.zeros_like(difference)), known.to(dtype)


def row_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Average each row by `weight` (None: evenly); rows of weight 0 give 0."""
    dims = tuple(range(1, values.ndim))
    if weight is None:
        return values.mean(dims)
    total = weight.expand_as(values).sum(dims)
    return (values * weight).sum(dims) / torch.where(total > 0, total, torch.ones_like(total))
