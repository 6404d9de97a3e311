"""Grids of examples as pictures; vectors are drawn as curves by the report, not here."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from glo.data import to_uint8
from glo.utils.files import atomic_write

__all__ = ["grid", "pairs", "save_picture"]

_GAP = 2
_PAPER = 255
# Small images are enlarged, whole pixels at a time, until a side has about so many.
_COMFORTABLE = 64


def grid(images: Tensor, *, columns: int | None = None, frame: bool = True) -> Image.Image:
    """Lay images out in rows, left to right and top to bottom.

    Args:
        images: (B, C, H, W) in [-1, 1].
        columns: images in a row; a nearly square grid when omitted.
        frame: whether small images are enlarged and set apart by lines.

    Returns:
        one picture, grey or colour.

    Example:
        >>> import torch
        >>> grid(torch.zeros(6, 1, 8, 8), columns=3).size
        (200, 134)
    """
    tiles = to_uint8(images)
    n, height, width, channels = tiles.shape
    columns = columns or max(1, round(n**0.5))
    lines = -(-n // columns)
    zoom = max(1, round(_COMFORTABLE / max(height, width))) if frame else 1
    gap = _GAP if frame else 0
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    high, wide = height * zoom + gap, width * zoom + gap
    sheet = np.full((lines * high + gap, columns * wide + gap, channels), _PAPER, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = gap + number // columns * high, gap + number % columns * wide
        sheet[top : top + height * zoom, left : left + width * zoom] = tile
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def pairs(originals: Tensor, copies: Tensor, *, columns: int = 16) -> Image.Image:
    """Lay out originals in odd lines, each with its copy right below it.

    Args:
        originals: (B, C, H, W) in [-1, 1].
        copies: the same shape.
        columns: pairs in a line.

    Example:
        >>> import torch
        >>> pairs(torch.zeros(4, 1, 64, 64), torch.zeros(4, 1, 64, 64), columns=2).size
        (134, 266)
    """
    n = len(originals)
    order = []
    for first in range(0, n, columns):
        part = list(range(first, min(first + columns, n)))
        order += [*part, *[-1] * (columns - len(part)), *(i + n for i in part)]
        order += [-1] * (columns - len(part))
    blank = np.ones((1, *originals.shape[1:]), np.float32)
    every = np.concatenate([originals.numpy(), copies.numpy(), blank])
    return grid(originals.new_tensor(every[order]), columns=columns)


def save_picture(picture: Image.Image, path: Path) -> Path:
    """Write a PNG, whole or not at all, and return its path."""
    with atomic_write(path) as writing:
        picture.save(writing, format="PNG")
    return path
