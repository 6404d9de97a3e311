"""Network from examples, parts of which may be missing, to codes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self, final, get_args

import torch
from torch import Tensor, nn

from glo.decoders.base import positive
from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.utils.device import channels_last

__all__ = ["Encoder"]

# Maps are halved down to a side below twice this one.
_LAST_SIDE = 4
# Channels of the widest map, and hidden units after the maps, in multiples of the width.
_MOST, _HIDDEN = 4, 16


@final
class Encoder(nn.Module):
    """Map examples (B, *shape) and masks of their observed values to codes (B, D).

    Images pass 4x4 convolutions of stride 2 with batch norm and SiLU, which double the channels,
    and a hidden layer; vectors pass two hidden layers. Hidden values are set to zero, and the mask
    is a further channel, or F further columns. The output x is whitened: the code is z = m + F x,
    moved to the nearest point that satisfies the constraint.

    Args:
        code_dim: D.
        shape: (C, H, W) or (F,).
        width: channels of the first map; a sixteenth of a hidden layer.
        constraint: constraint of the codes.

    Attributes:
        config: JSON-able keyword arguments; `Encoder(**config)` is the same network untrained.
        mean: m, (D,).
        factor: F, (D, D).
        inverse_hessian: inverse of the mean Hessian of the decoder's loss by the code, (D, D), the
            first one of a search that begins at an encoder's codes.

    Raises:
        UserError: a number is not a positive integer, the shape is neither, or the constraint is
            unknown.

    Reference:
        Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, call this amortized
        inference; here the decoder is trained without it.

    Example:
        >>> encoder = Encoder(code_dim=8, shape=(3, 16, 16), width=4).eval()
        >>> encoder(torch.zeros(2, 3, 16, 16), torch.ones(1, 1, 16, 16)).shape
        torch.Size([2, 8])
    """

    mean: Tensor
    factor: Tensor
    inverse_hessian: Tensor

    def __init__(
        self,
        *,
        code_dim: int,
        shape: Sequence[int],
        width: int = 32,
        constraint: Constraint = "ball",
    ) -> None:
        super().__init__()
        self.code_dim, width = positive("code_dim", code_dim), positive("width", width)
        self.shape = tuple(positive("shape", side) for side in shape)
        if len(self.shape) not in (1, 3):
            raise UserError(f"An encoder takes examples (C, H, W) or (F,), not {self.shape}.")
        if constraint not in get_args(Constraint):
            raise UserError(f"constraint is {constraint!r}; give ball, sphere or free.")
        self.constraint: Constraint = constraint
        self.config: dict[str, Any] = {
            "code_dim": self.code_dim,
            "shape": list(self.shape),
            "width": width,
            "constraint": constraint,
        }
        hidden = _HIDDEN * width
        if len(self.shape) == 1:
            self.net = _perceptron(2 * self.shape[0], hidden, hidden, self.code_dim)
        else:
            self.net = channels_last(_convolutions(self.shape, width, hidden, self.code_dim))
        self.register_buffer("mean", torch.zeros(self.code_dim))
        self.register_buffer("factor", torch.eye(self.code_dim))
        self.register_buffer("inverse_hessian", torch.eye(self.code_dim))

    def set_whitening(self, codes: Tensor) -> Self:
        """Set mean and factor to those of codes, float (N, D)."""
        self.mean.copy_(codes.mean(0))
        centered = (codes - codes.mean(0)).double()
        values, vectors = torch.linalg.eigh(centered.T @ centered / len(codes))
        # Directions without variance keep the mean.
        self.factor.copy_(vectors * values.clamp(min=0).sqrt())
        return self

    def forward(self, examples: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode a batch.

        Args:
            examples: float (B, *shape), in the range of the decoder; NaN only where hidden.
            mask: 1 where observed and 0 where hidden, (b, 1, H, W) or (b, F) with b of 1 or B;
                None: all is observed.

        Returns:
            Codes (B, D), float32, on the constraint.
        """
        white = self.net(self.masked(examples, mask)).float()
        return self.constrained(self.mean + white @ self.factor.T)

    def constrained(self, codes: Tensor) -> Tensor:
        """Move codes (B, D) to the nearest points that satisfy the constraint."""
        return project(codes, self.constraint)

    def masked(self, examples: Tensor, mask: Tensor | None) -> Tensor:
        """Return the input of the network: observed values, and the mask."""
        one = examples[:, :1] if examples.ndim == 4 else examples
        if mask is None:
            return torch.cat([examples, torch.ones_like(one)], dim=1)
        if mask.ndim == 4:
            # A pixel is observed if all of its channels are.
            mask = mask.amin(1, keepdim=True)
        seen = mask.to(examples.dtype).expand_as(one)
        known = torch.where(seen > 0, examples, torch.zeros_like(examples))
        return torch.cat([known, seen], dim=1)


def _convolutions(shape: tuple[int, ...], width: int, hidden: int, dim: int) -> nn.Sequential:
    channels, height, width_of_image = shape
    layers: list[nn.Module] = []
    before, after = channels + 1, width
    while min(height, width_of_image) >= 2 * _LAST_SIDE:
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(after), nn.SiLU()]
        before, after = after, min(2 * after, _MOST * width)
        height, width_of_image = height // 2, width_of_image // 2
    layers += [nn.Flatten(), *_perceptron(before * height * width_of_image, hidden, dim)]
    return nn.Sequential(*layers)


def _perceptron(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
