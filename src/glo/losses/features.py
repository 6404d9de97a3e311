"""Perceptual loss: squared differences of the features of a network."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from glo.losses.base import Loss, masked_difference
from glo.losses.pointwise import mse


@final
@dataclass(frozen=True, kw_only=True)
class FeatureLoss(Loss):
    """Average the squared difference of a network's features.

        loss(x, y) = mean over layers l of mean (f_l(x) - f_l(y))^2

    The network is copied; the copy is frozen, in evaluation mode, and moves to the device of the
    output. Hidden pixels are set to 0 (middle grey) in both images.

    Args:
        network: module from (B, *shape) to features (B, ...), or to a sequence of several layers.

    References:
        Johnson, Alahi and Fei-Fei, "Perceptual losses for real-time style transfer and
        super-resolution" (ECCV 2016), equation 2.

    Example:
        >>> loss = FeatureLoss(network=nn.Flatten())
        >>> loss(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
        tensor([1., 1.])
    """

    network: nn.Module = field(repr=False)

    def __post_init__(self) -> None:
        frozen = copy.deepcopy(self.network).eval().requires_grad_(False)
        object.__setattr__(self, "network", frozen)

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mean squared difference of the features of each row, (B,)."""
        _, weight = masked_difference(output.detach(), target, mask)
        if weight is not None:
            hidden = weight == 0
            output, target = output.masked_fill(hidden, 0.0), target.masked_fill(hidden, 0.0)
        self.network.to(output.device)
        with torch.no_grad():
            expected = _layers(self.network(target))
        pairs = zip(_layers(self.network(output)), expected, strict=True)
        return torch.stack([mse(actual, layer) for actual, layer in pairs]).mean(0)


def _layers(features: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return (features,) if isinstance(features, Tensor) else features
