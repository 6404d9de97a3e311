"""The shape that both convolutional decoders share: a small map, doubled until it is an image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from glo.decoders.upsample import CodeToMap, Upsample
from glo.errors import UserError

__all__ = ["Generator", "doubled_widths", "image_side"]


@dataclass(frozen=True, kw_only=True)
class Generator:
    """Describe a generator: D -> base x base map, then one doubling per pair of neighbours.

    Every map but the last passes batch norm and ReLU. The base has at least 2x2 positions, so batch
    norm always sees several values per channel and a batch of one row trains too.

    Args:
        code_dim: D.
        widths: channels of the maps before the image, the smallest map first.
        channels: channels of the image.
        base: side of the first map.
        kernel: side of the transposed convolutions' kernels.

    Example:
        >>> plan = Generator(code_dim=32, widths=(256, 128, 64), channels=1, base=4, kernel=4)
        >>> len(plan.build())
        10
    """

    code_dim: int
    widths: tuple[int, ...]
    channels: int
    base: int
    kernel: int

    def build(self) -> nn.Sequential:
        """Make the network; its output is not yet squashed."""
        layers: list[nn.Module] = [CodeToMap(self.code_dim, self.widths[0], self.base)]
        for before, after in pairwise((*self.widths, self.channels)):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers.append(Upsample(before, after, kernel=self.kernel))
        return nn.Sequential(*layers)


def doubled_widths(side: int, width: int, *, base: int, most: int) -> tuple[int, ...]:
    """Return the channels of the maps of side `base`, twice that, ..., S / 2 before an image.

    Args:
        side: S, that of the image.
        width: channels of the last map; each before it has twice as many as the next.
        base: side of the first map.
        most: channels that no map exceeds.

    Example:
        >>> doubled_widths(128, 16, base=4, most=128)
        (128, 128, 64, 32, 16)
    """
    doublings = side.bit_length() - base.bit_length()
    return tuple(min(width * 2**k, most) for k in reversed(range(doublings)))


def image_side(shape: Sequence[int], *, decoder: str, least: int, most: int = 256) -> int:
    """Return the side of a square power-of-two image.

    Args:
        shape: (C, S, S).
        decoder: name for the message.
        least: the smallest side.
        most: the largest side.

    Raises:
        UserError: if `shape` is anything else.

    Example:
        >>> image_side((3, 32, 32), decoder="DCGAN", least=8)
        32
    """
    if len(shape) != 3:
        raise UserError(
            f"The {decoder} decoder makes images of shape (C, S, S), not {tuple(shape)}; "
            "use the decoder 'mlp' for vectors."
        )
    _, height, width = shape
    if height != width or not least <= height <= most or height & (height - 1):
        nearest = min(max(2 ** round(math.log2(max(height, width, 1))), least), most)
        raise UserError(
            f"The {decoder} decoder makes square images with a power-of-two side from {least} to "
            f"{most}, not {height}x{width}; resize the data with --size {nearest}."
        )
    return height
