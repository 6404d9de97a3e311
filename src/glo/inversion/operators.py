"""Observation operators: differentiable functions from (B, *shape) to (B, *shape'), row by row.

Any such function can be an operator. Missing values are given by a mask over the observation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from glo.decoders.base import positive
from glo.errors import UserError

__all__ = ["AveragePool", "Blur", "Compose", "Grayscale", "Operator"]

Operator = Callable[[Tensor], Tensor]

# Weights of red, green and blue: ITU-R BT.601, as in Pillow.
_LUMA = (0.299, 0.587, 0.114)


@final
@dataclass(frozen=True, kw_only=True)
class AveragePool:
    """Average pooling of images over squares of `factor` x `factor` pixels.

    Args:
        factor: integer of at least 1 that divides both sides.

    Raises:
        UserError: another factor.

    Example:
        >>> AveragePool(factor=4)(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 1, 8, 8])
    """

    factor: int

    def __post_init__(self) -> None:
        positive("factor", self.factor)

    def __call__(self, images: Tensor) -> Tensor:
        """Return (B, C, H / factor, W / factor)."""
        _, _, height, width = _as_images(images, "AveragePool").shape
        if height % self.factor or width % self.factor:
            raise UserError(
                f"Images of {height}x{width} have sides that factor {self.factor} does not divide; "
                f"give a factor that divides both."
            )
        return functional.avg_pool2d(images, self.factor)


@final
@dataclass(frozen=True, kw_only=True)
class Blur:
    """Gaussian blur of images, with reflection at the edges.

    Args:
        sigma: standard deviation in pixels, above 0.

    Raises:
        UserError: a sigma of 0 or less, or too large for the image.

    Example:
        >>> Blur(sigma=1.0)(torch.ones(1, 1, 8, 8)).mean().round(decimals=4)
        tensor(1.)
    """

    sigma: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise UserError(f"sigma is {self.sigma!r}; give a number of pixels above 0.")

    def __call__(self, images: Tensor) -> Tensor:
        """Return (B, C, H, W)."""
        channels, *sides = _as_images(images, "Blur").shape[1:]
        # Three standard deviations cover 99.7 % of the weight.
        radius = math.ceil(3 * self.sigma)
        if radius >= min(sides):
            raise UserError(
                f"A blur of sigma {self.sigma:g} is wider than images of {sides[0]}x{sides[1]}; "
                f"give a smaller sigma."
            )
        place = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
        kernel = torch.softmax(-place.square() / (2 * self.sigma**2), 0)
        padded = functional.pad(images, [radius] * 4, mode="reflect")
        down = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        across = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        smooth = functional.conv2d(padded, down, groups=channels)
        return functional.conv2d(smooth, across, groups=channels)


@final
@dataclass(frozen=True, kw_only=True)
class Grayscale:
    """Grayscale of color images: 0.299 red + 0.587 green + 0.114 blue.

    Reference:
        ITU-R Recommendation BT.601, section 2.5.1.

    Example:
        >>> Grayscale()(torch.ones(2, 3, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __call__(self, images: Tensor) -> Tensor:
        """Return (B, 1, H, W)."""
        channels = _as_images(images, "Grayscale").shape[1]
        if channels != 3:
            raise UserError(f"Grayscale takes images of 3 channels, not {channels}.")
        weights = images.new_tensor(_LUMA).view(1, 3, 1, 1)
        return (images * weights).sum(1, keepdim=True)


@final
@dataclass(frozen=True, kw_only=True)
class Compose:
    """Composition of operators.

    Args:
        parts: operators in the order of application.

    Example:
        >>> Compose(parts=(Grayscale(), AveragePool(factor=2)))(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 1, 4, 4])
    """

    parts: tuple[Operator, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Return the output of the last operator, (B, *shape')."""
        for part in self.parts:
            images = part(images)
        return images


def _as_images(batch: Tensor, name: str) -> Tensor:
    if batch.ndim != 4:
        raise UserError(
            f"{name} takes images (B, C, H, W), not {tuple(batch.shape)}; give a function of "
            f"vectors instead."
        )
    return batch
