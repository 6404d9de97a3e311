"""Corruptions of examples: masks and noise."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.random import normal

__all__ = ["Half", "add_noise", "half_mask", "hole_mask"]

Half = Literal["left", "right", "top", "bottom"]


def half_mask(shape: Sequence[int], half: Half) -> Tensor:
    """Build a mask that hides one half of images.

    Args:
        shape: (C, H, W).
        half: hidden half.

    Returns:
        float32 (1, 1, H, W), 1 where observed and 0 where hidden.

    Example:
        >>> half_mask((1, 2, 4), "left")
        tensor([[[[0., 0., 1., 1.],
                  [0., 0., 1., 1.]]]])
    """
    mask = _whole(shape)
    dim = 3 if half in ("left", "right") else 2
    middle = mask.shape[dim] // 2
    first = half in ("left", "top")
    hidden = mask.narrow(dim, 0, middle) if first else mask.narrow(dim, middle, middle)
    hidden.zero_()
    return mask


def hole_mask(shape: Sequence[int], side: int) -> Tensor:
    """Build a mask that hides a centered square of images.

    Args:
        shape: (C, H, W).
        side: side of the square in pixels, less than the longer side of the image.

    Returns:
        float32 (1, 1, H, W), 1 where observed and 0 where hidden.

    Raises:
        UserError: a square that covers the image or does not fit it.

    Example:
        >>> hole_mask((3, 4, 4), 2)[0, 0, 1]
        tensor([1., 0., 0., 1.])
    """
    mask = _whole(shape)
    height, width = mask.shape[2:]
    if not 0 < side < max(height, width) or side > min(height, width):
        raise UserError(f"A hole of side {side} does not fit images of {height}x{width}.")
    top, left = (height - side) // 2, (width - side) // 2
    mask[..., top : top + side, left : left + side] = 0.0
    return mask


def add_noise(examples: Tensor, sd: float, *, seed: int = 0, start: int = 0) -> Tensor:
    """Add independent normal noise of standard deviation `sd` to every number.

    Args:
        examples: (B, *shape).
        sd: standard deviation, in the units of the examples.
        seed: seed of the noise.
        start: number of the first example; the noise of a number does not depend on the batch.

    Returns:
        float32 (B, *shape); pixels may leave [-1, 1].

    Example:
        >>> noisy = add_noise(torch.zeros(3, 5), 0.5)
        >>> torch.equal(noisy[1:2], add_noise(torch.zeros(1, 5), 0.5, start=1))
        True
    """
    noise = normal(seed, start, len(examples), examples[0].numel(), stream="samples")
    return examples + sd * noise.view(examples.shape).to(examples.device)


def _whole(shape: Sequence[int]) -> Tensor:
    if len(shape) != 3:
        raise UserError(f"Masks are for images (C, H, W), not shape {tuple(shape)}.")
    return torch.ones(1, 1, *shape[1:])
