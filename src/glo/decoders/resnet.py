"""Residual decoder of color images, for power-of-two sides from 8 to 1024."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, final, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from glo.decoders.base import (
    INITIAL_STD,
    Decoder,
    draw_channels_last,
    full_precision,
    positive,
)
from glo.decoders.dcgan import BASE, CAP
from glo.decoders.generator import CodeToMap, doubled_widths, image_side
from glo.errors import UserError

Norm = Literal["group", "batch"]

KERNEL = 3
GROUPS = 8


@final
class ResNet(Decoder):
    """Decode images by residual blocks that double the side.

    D -> 4x4 map, then for each doubling x -> up(W x) + f(x) with

        f(x) = conv(up(act(norm(conv(act(norm(x)))))))

    where up repeats each pixel twice along both axes, conv is 3x3, W is 1x1 and act is ReLU; then
    tanh(conv(act(x))). The map of side s has min(width S / 2s, 8 width) channels, as DCGAN's: each
    doubling halves them. All but one convolution of a block works before the doubling, on a quarter
    of the pixels, and so do the norms, which cost more than their arithmetic.

    Args:
        code_dim: D.
        shape: (C, S, S) with S a power of two from 8 to 1024.
        width: channels of the map of side S / 2; the last before the image has half as many.
        norm: "group" or "batch". Group norm has no statistics of batches: an example is decoded
            alike in training and after, and on any number of processes.

    Raises:
        UserError: if the shape is not square with such a side, a number is below 1, or there is no
            such norm.

    References:
        He, Zhang, Ren and Sun, "Identity mappings in deep residual networks" (ECCV 2016), for the
        order inside a block. Wu and He, "Group normalization" (ECCV 2018). Miyato, Kataoka, Koyama
        and Yoshida, "Spectral normalization for generative adversarial networks" (ICLR 2018),
        figure 8, for blocks that double.

    Example:
        >>> decoder = ResNet(code_dim=8, shape=(3, 16, 16), width=4)
        >>> decoder(torch.zeros(2, 8)).shape
        torch.Size([2, 3, 16, 16])
    """

    name = "residual"

    def __init__(
        self,
        *,
        code_dim: int,
        shape: Sequence[int] = (3, 64, 64),
        width: int = 64,
        norm: Norm = "group",
    ) -> None:
        width = positive("width", width)
        if norm not in get_args(Norm):
            raise UserError(f"norm must be 'group' or 'batch', not {norm!r}.")
        super().__init__(code_dim=code_dim, shape=shape, width=width, norm=norm)
        side = image_side(self.shape, decoder="residual", least=2 * BASE, most=1024)
        above = doubled_widths(side, width, base=BASE, most=CAP * width)
        self.widths = (*above, max(width // 2, 1))
        self.first = CodeToMap(self.code_dim, self.widths[0], BASE, bias=True)
        self.blocks = nn.Sequential(*(_Block(*pair, norm) for pair in pairwise(self.widths)))
        self.image = _Convolution(self.widths[-1], self.shape[0])
        # Small, so that images begin near the middle grey, where tanh is not flat.
        draw_channels_last(self.image.weight, INITIAL_STD)

    def forward(self, codes: Tensor) -> Tensor:
        """Return images (B, C, S, S) in [-1, 1]."""
        maps = self.blocks(self.first(self.checked(codes)))
        image = self.image(functional.relu(maps))
        return torch.tanh(full_precision(image))


@final
class _Block(nn.Module):
    """Map (B, before, s, s) to (B, after, 2s, 2s)."""

    def __init__(self, before: int, after: int, norm: Norm) -> None:
        super().__init__()
        self.norms = nn.ModuleList([_norm(before, norm), _norm(after, norm)])
        self.small = _Convolution(before, after)
        self.large = _Convolution(after, after)
        self.skip = _Convolution(before, after, kernel=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the doubled maps."""
        inner: Tensor = self.small(functional.relu(self.norms[0](maps)))
        inner = functional.relu(self.norms[1](inner))
        doubled: Tensor = self.large(_double(inner))
        return _double(self.skip(maps)) + doubled


@final
class _Convolution(nn.Conv2d):
    """Convolution of stride 1 that keeps the side; weights start from N(0, 1 / fan-in)."""

    def __init__(self, before: int, after: int, *, kernel: int = KERNEL) -> None:
        super().__init__(before, after, kernel, padding=kernel // 2)

    def reset_parameters(self) -> None:
        """Draw the weights."""
        draw_channels_last(self.weight, math.sqrt(1 / self.weight[0].numel()))
        assert self.bias is not None, "made with a bias"
        nn.init.zeros_(self.bias)


def _double(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def _norm(channels: int, norm: Norm) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(channels, GROUPS), channels)
