"""Random masks that an encoder is fitted with."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["random_masks"]

# Most of the values that are hidden, and most of the height and of the width of a rectangle.
_MOST_HIDDEN, _MOST_SIDE = 0.9, 0.75


def random_masks(n: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw n masks, 1 where observed: half of them complete, the others with hidden values.

    They hide a random share of the values, up to nine tenths. Half of those for images hide a
    rectangle of up to three quarters of both sides, or a strip along a whole side.

    Args:
        n: number of masks.
        shape: (C, H, W) or (F,).
        generator: generator on the CPU.

    Returns:
        float32 (n, 1, H, W) or (n, F).

    Example:
        >>> masks = random_masks(8, (3, 4, 6), torch.Generator().manual_seed(0))
        >>> masks.shape, masks.flatten(1).amin(1).sum().item()
        (torch.Size([8, 1, 4, 6]), 4.0)
    """
    size = (1, *shape[1:]) if len(shape) == 3 else tuple(shape)
    masks = torch.ones(n, *size)
    images = len(shape) == 3
    scattered, masked = n // 4 if images else n // 2, n // 2
    share = _MOST_HIDDEN * torch.rand(scattered, *[1] * len(size), generator=generator)
    seen = torch.rand(scattered, *size, generator=generator) >= share
    masks[:scattered] = seen.float()
    if images:
        height, width = size[1:]
        masks[scattered:masked, 0] = _rectangles(masked - scattered, height, width, generator)
    return masks


def _rectangles(n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return masks of a hidden rectangle each, (n, H, W); a half are strips of a whole side."""
    inside = []
    whole = torch.randint(4, (n, 1), generator=generator)
    for place, side in enumerate((height, width)):
        first, length = torch.rand(2, n, 1, generator=generator)
        length = torch.where(whole == place, 1.0, _MOST_SIDE * length)
        start = first * (1 - length) * side
        at = torch.arange(side).float() + 0.5
        inside.append((at > start) & (at < start + length * side))
    hidden: Tensor = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)
    return (~hidden).float()
