"""Sheets of examples as images inside a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features
from torch import Tensor
from torch.nn import functional

from glo.data import to_uint8
from glo.report.blocks import Picture

__all__ = ["sheet"]

# Larger examples are shown smaller: a page with some hundred of them is to be sent to a friend.
_LARGEST = 96
# Up to this side pixels are shown as they are; above it enlarging may smooth them.
_PIXELS = 64


def sheet(
    images: Tensor, *, columns: int, alt: str, caption: str = "", apart: bool = False
) -> Picture:
    """Lay images out in lines, with see-through gaps between them.

    Args:
        images: (B, C, H, W) in [-1, 1].
        columns: images in a line.
        alt: what the sheet shows.
        caption: below it.
        apart: whether the first of each line stands apart from the others.

    Example:
        >>> import torch
        >>> picture = sheet(torch.zeros(6, 1, 8, 8), columns=3, alt="Six squares.")
        >>> picture.width, picture.height, picture.uri[:22]
        (26, 17, 'data:image/png;base64,')
    """
    tiles = to_uint8(_smaller(images))
    n, height, width, channels = tiles.shape
    lines, gap = -(-n // columns), max(1, width // 16)
    after_first = width // 4 if apart else 0
    size = (
        lines * (height + gap) - gap,
        columns * (width + gap) - gap + after_first,
        channels + 1,
    )
    paper = np.zeros(size, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        left += after_first if number % columns else 0
        paper[top : top + height, left : left + width, :-1] = tile
        paper[top : top + height, left : left + width, -1] = 255
    return Picture(
        uri=_uri(paper),
        width=size[1],
        height=size[0],
        columns=columns,
        pixelated=max(height, width) <= _PIXELS,
        alt=alt,
        caption=caption,
    )


def _smaller(images: Tensor) -> Tensor:
    side = max(images.shape[2:])
    if side <= _LARGEST:
        return images
    size = [round(length * _LARGEST / side) for length in images.shape[2:]]
    return functional.interpolate(images, size, mode="bilinear", antialias=True).clamp(-1, 1)


def _uri(paper: NDArray[np.uint8]) -> str:
    image = Image.fromarray(paper, "LA" if paper.shape[2] == 2 else "RGBA")
    buffer = io.BytesIO()
    # Photographs take a fifth of the space in WebP, but not every Pillow can write it.
    if image.mode == "RGBA" and features.check("webp"):
        kind = "webp"
        image.save(buffer, "WEBP", quality=88)
    else:
        kind = "png"
        image.save(buffer, "PNG", optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
