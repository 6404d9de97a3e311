"""Grids of images inside a page, as data: addresses."""

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from glo.data import to_uint8
from glo.imaging.grids import data_uri, shows_pixels, tile
from glo.report.blocks import Picture

__all__ = ["sheet"]

# Larger images are reduced, so that a page of some hundred images stays small.
_MAX_SIDE = 96


def sheet(
    images: Tensor, *, columns: int, alt: str, caption: str = "", indent: bool = False
) -> Picture:
    """Draw images (B, C, H, W) in [-1, 1] in a grid with transparent gaps.

    With `indent` a wider gap follows the first image of each line.
    """
    tiles = to_uint8(_reduced(images))
    opaque = np.pad(tiles, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=255)
    height, width = tiles.shape[1:3]
    canvas = tile(
        opaque,
        columns=columns,
        gap=max(1, width // 16),
        background=0,
        indent=width // 4 if indent else 0,
    )
    image = Image.fromarray(canvas, "LA" if canvas.shape[2] == 2 else "RGBA")
    return Picture(
        uri=data_uri(image),
        width=image.width,
        height=image.height,
        columns=columns,
        pixelated=shows_pixels(height, width),
        alt=alt,
        caption=caption,
    )


def _reduced(images: Tensor) -> Tensor:
    side = max(images.shape[2:])
    if side <= _MAX_SIDE:
        return images
    size = [round(length * _MAX_SIDE / side) for length in images.shape[2:]]
    return functional.interpolate(images, size, mode="bilinear", antialias=True).clamp(-1, 1)
