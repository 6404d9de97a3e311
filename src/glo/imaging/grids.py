"""Grids of images as pictures."""

import base64
import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, features
from torch import Tensor

from glo.data import to_uint8
from glo.utils.files import atomic_write

__all__ = ["data_uri", "error_maps", "grid", "pairs", "save_picture", "shows_pixels", "tile"]

_GAP = 2
# Small images are enlarged by a whole factor until the longer side has about this many pixels.
_SIDE = 64
# The longest side, in pixels, of images that are drawn pixelated.
_MAX_PIXELATED_SIDE = 64


def shows_pixels(height: int, width: int) -> bool:
    """Return whether pages draw images of this size pixelated; larger ones are smoothed."""
    return max(height, width) <= _MAX_PIXELATED_SIDE


def tile(
    tiles: NDArray[np.uint8], *, columns: int, gap: int, background: int, indent: int = 0
) -> NDArray[np.uint8]:
    """Arrange images (B, H, W, C) in lines, without a margin; missing ones are background.

    With `indent` so many further pixels follow the first image of a line.
    """
    n, height, width, channels = tiles.shape
    lines = -(-n // columns)
    size = (lines * (height + gap) - gap, columns * (width + gap) - gap + indent, channels)
    canvas = np.full(size, background, np.uint8)
    for number, image in enumerate(tiles):
        line, column = divmod(number, columns)
        top, left = line * (height + gap), column * (width + gap) + (indent if column else 0)
        canvas[top : top + height, left : left + width] = image
    return canvas


def grid(images: Tensor, *, columns: int | None = None, frame: bool = True) -> Image.Image:
    """Draw images (B, C, H, W) in [-1, 1] in a grid, nearly square without `columns`.

    With `frame` small images are enlarged and separated by white lines.

    Example:
        >>> grid(torch.zeros(6, 1, 8, 8), columns=3).size
        (200, 134)
    """
    tiles = to_uint8(images)
    n, height, width, channels = tiles.shape
    columns = columns or max(1, round(n**0.5))
    gap = _GAP if frame else 0
    zoom = max(1, round(_SIDE / max(height, width))) if frame else 1
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    canvas = tile(tiles, columns=columns, gap=gap, background=255)
    canvas = np.pad(canvas, ((gap, gap), (gap, gap), (0, 0)), constant_values=255)
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas)


def pairs(originals: Tensor, copies: Tensor, *others: Tensor, columns: int = 16) -> Image.Image:
    """Draw originals (B, C, H, W) in [-1, 1], each with its copy and others right below it.

    Where some are in color, (B, 3, H, W), gray ones are drawn in gray.
    """
    parts = (originals, copies, *others)
    channels = max(part.shape[1] for part in parts)
    padding = -len(originals) % columns
    lines = []
    for part in parts:
        empty = part.new_ones(padding, *part.shape[1:])
        images = torch.cat([part, empty]).expand(-1, channels, -1, -1)
        lines.append(images.unflatten(0, (-1, columns)))
    return grid(torch.stack(lines, dim=1).flatten(0, 2), columns=columns)


def error_maps(originals: Tensor, copies: Tensor) -> Tensor:
    """Draw the squared error of each pixel in color, dark at 0 and bright at the highest of all.

    Args:
        originals: (B, C, H, W).
        copies: (B, C, H, W).

    Returns:
        float32 (B, 3, H, W), in [-1, 1].

    Example:
        >>> error_maps(torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)).shape
        torch.Size([2, 3, 4, 4])
    """
    from matplotlib import colormaps

    # The mean over the channels.
    errors = (originals - copies).square().mean(1)
    shares = errors / errors.max().clamp(min=1e-12)
    colors = torch.from_numpy(colormaps["inferno"](shares.numpy())[..., :3])
    return (2 * colors - 1).float().permute(0, 3, 1, 2)


def save_picture(picture: Image.Image, path: Path) -> Path:
    """Write a PNG file atomically, and return its path."""
    with atomic_write(path) as writing:
        picture.save(writing, format="PNG")
    return path


def data_uri(image: Image.Image) -> str:
    """Return a picture as a data: address of PNG or, with transparency in color, WebP.

    Example:
        >>> data_uri(Image.new("L", (2, 2)))[:22]
        'data:image/png;base64,'
    """
    buffer = io.BytesIO()
    # Photographs take a fifth of the space in WebP, but not every Pillow can write it.
    if image.mode == "RGBA" and features.check("webp"):
        kind = "webp"
        image.save(buffer, "WEBP", quality=88)
    else:
        kind = "png"
        image.save(buffer, "PNG", optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
