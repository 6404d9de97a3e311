"""Pixels made to fit: crop, size, and grey or colour, on stacks of images at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glo.data.options import Crop

__all__ = ["fit", "recolour"]

Pixels = NDArray[np.uint8]

# Pixels that are made grey at a time.
_PIECE = 2**20


@dataclass(frozen=True)
class _Plan:
    """Which part is cut out, what it is resized to, and where that lies in the target."""

    top: int
    left: int
    height: int
    width: int
    inner: tuple[int, int]


def fit(images: Pixels, target: tuple[int, int], crop: Crop = "center") -> Pixels:
    """Crop and resize images with pillow's bicubic filter.

    Args:
        images: uint8 (N, H, W, C).
        target: height and width to make.
        crop: as in `SourceOptions`.

    Returns:
        uint8 (N, *target, C); the images themselves if they are of that size.

    Example:
        >>> fit(np.zeros((2, 20, 30, 3), np.uint8), (8, 8)).shape
        (2, 8, 8, 3)
    """
    if images.shape[1:3] == target:
        return images
    plan = _plan(images.shape[1], images.shape[2], target, crop)
    rows, columns = slice(plan.top, plan.top + plan.height), slice(plan.left, None)
    part = images[:, rows, columns][:, :, : plan.width]
    resized = _resize(part, plan.inner)
    return resized if plan.inner == target else _on_black(resized, target)


def recolour(images: Pixels, channels: int) -> Pixels:
    """Make images grey (ITU-R 601 luma, as pillow does) or colour.

    Args:
        images: uint8 (N, H, W, C) with C 1 or 3.
        channels: 1 or 3.

    Returns:
        uint8 (N, H, W, channels).

    Example:
        >>> recolour(np.full((1, 1, 1, 3), 255, np.uint8), 1).item()
        255
    """
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    flat = images.reshape(-1, 3)
    grey = np.empty(len(flat), np.uint8)
    # In pieces: sums of 32 bits take ten times the memory of the bytes.
    for first in range(0, len(flat), _PIECE):
        grey[first : first + _PIECE] = _luma(flat[first : first + _PIECE])
    return grey.reshape(*images.shape[:3], 1)


def _luma(pixels: Pixels) -> Pixels:
    # The weights and rounding of pillow's conversion from RGB to L.
    red, green, blue = (pixels[:, i].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)


def _plan(height: int, width: int, target: tuple[int, int], crop: Crop) -> _Plan:
    if crop == "stretch":
        return _Plan(0, 0, height, width, target)
    ratios = height / target[0], width / target[1]
    if crop == "pad":
        scale = max(ratios)
        inner = _at_least_1(height / scale), _at_least_1(width / scale)
        return _Plan(0, 0, height, width, (min(inner[0], target[0]), min(inner[1], target[1])))
    scale = min(ratios)
    high, wide = _at_least_1(target[0] * scale), _at_least_1(target[1] * scale)
    high, wide = min(high, height), min(wide, width)
    return _Plan((height - high) // 2, (width - wide) // 2, high, wide, target)


def _at_least_1(length: float) -> int:
    return max(1, round(length))


def _resize(images: Pixels, inner: tuple[int, int]) -> Pixels:
    n, height, _, channels = images.shape
    if inner[0] < height:
        # Pillow may then filter columns before rows, which rounds otherwise.
        each = [_pillow_resize(np.ascontiguousarray(image), *inner) for image in images]
        return np.stack(each).reshape(n, *inner, channels)
    # Else it filters along rows, rounds, then along columns. Images stacked below each other share
    # the first pass and images side by side the second, so two calls do any number of images and
    # give, to the last bit, what one call for each would give.
    stacked = np.ascontiguousarray(images).reshape(n * height, -1, channels)
    wide = _pillow_resize(stacked, n * height, inner[1]).reshape(n, height, inner[1], channels)
    beside = wide.transpose(1, 0, 2, 3).reshape(height, n * inner[1], channels)
    high = _pillow_resize(beside, inner[0], n * inner[1])
    return high.reshape(inner[0], n, inner[1], channels).transpose(1, 0, 2, 3)


def _pillow_resize(image: Pixels, height: int, width: int) -> Pixels:
    from PIL import Image

    source = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return np.asarray(source.resize((width, height), Image.Resampling.BICUBIC))


def _on_black(images: Pixels, target: tuple[int, int]) -> Pixels:
    n, height, width, channels = images.shape
    canvas = np.zeros((n, *target, channels), np.uint8)
    top, left = (target[0] - height) // 2, (target[1] - width) // 2
    canvas[:, top : top + height, left : left + width] = images
    return canvas
