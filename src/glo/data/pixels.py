"""Conversion of pixels to uint8; cropping, resizing and color conversion of stacks of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.data.options import Crop

__all__ = ["convert_channels", "resize", "to_bytes"]

Pixels = NDArray[np.uint8]

# Pixels that are converted to gray at a time.
_CHUNK = 2**20


def to_bytes(
    values: NDArray[Any], black: float, white: float, alpha: NDArray[np.float32] | None = None
) -> Pixels:
    """Scale pixels so that black is 0 and white is 255, rounded and clipped; NaN becomes black.

    Args:
        values: pixels (..., H, W, C).
        black: value of black pixels.
        white: value of white pixels.
        alpha: opacity from 0 to 1, (..., H, W, 1): the pixels are laid on white.
    """
    if alpha is None and values.dtype.kind in "iu" and (black, white) == (0, 255):
        return values.clip(0, 255).astype(np.uint8)
    scaled = np.nan_to_num(values.astype(np.float64), nan=black) - black
    scaled = (scaled * (255.0 / (white - black))).clip(0.0, 255.0)
    if alpha is not None:
        scaled = scaled * alpha + 255.0 * (1.0 - alpha)
    return np.rint(scaled).astype(np.uint8)


def resize(images: Pixels, size: tuple[int, int], crop: Crop = "center") -> Pixels:
    """Crop and resize uint8 images (N, H, W, C) with pillow's bicubic filter; copy if needed."""
    height, width = images.shape[1:3]
    if (height, width) == size:
        return images
    if crop == "stretch":
        return _resize(images, size)
    ratios = height / size[0], width / size[1]
    if crop == "pad":
        scale = max(ratios)
        inner = min(_at_least_1(height / scale), size[0]), min(_at_least_1(width / scale), size[1])
        resized = _resize(images, inner)
        return resized if inner == size else _pad_with_black(resized, size)
    scale = min(ratios)
    high = min(_at_least_1(size[0] * scale), height)
    wide = min(_at_least_1(size[1] * scale), width)
    top, left = (height - high) // 2, (width - wide) // 2
    return _resize(images[:, top : top + high, left : left + wide], size)


def convert_channels(images: Pixels, channels: int) -> Pixels:
    """Convert uint8 images (N, H, W, C) to gray (ITU-R 601 luma, as pillow does) or color."""
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    flat = images.reshape(-1, 3)
    gray = np.empty(len(flat), np.uint8)
    # In chunks: 32-bit sums take ten times the memory of the bytes.
    for first in range(0, len(flat), _CHUNK):
        gray[first : first + _CHUNK] = _luma(flat[first : first + _CHUNK])
    return gray.reshape(*images.shape[:3], 1)


def _luma(pixels: Pixels) -> Pixels:
    # The weights and rounding of pillow's conversion from RGB to L.
    red, green, blue = (pixels[:, i].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)


def _at_least_1(length: float) -> int:
    return max(1, round(length))


def _resize(images: Pixels, size: tuple[int, int]) -> Pixels:
    n, height, _, channels = images.shape
    if size[0] < height:
        # Pillow may then filter columns before rows, which rounds differently.
        each = [_pillow_resize(np.ascontiguousarray(image), *size) for image in images]
        return np.stack(each).reshape(n, *size, channels)
    # Otherwise it filters along rows, rounds, then along columns. Images stacked vertically share
    # the first pass and images side by side the second, so two calls resize any number of images
    # and give the same bits as one call for each.
    stacked = np.ascontiguousarray(images).reshape(n * height, -1, channels)
    wide = _pillow_resize(stacked, n * height, size[1]).reshape(n, height, size[1], channels)
    beside = wide.transpose(1, 0, 2, 3).reshape(height, n * size[1], channels)
    high = _pillow_resize(beside, size[0], n * size[1])
    return high.reshape(size[0], n, size[1], channels).transpose(1, 0, 2, 3)


def _pillow_resize(image: Pixels, height: int, width: int) -> Pixels:
    from PIL import Image

    source = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return np.asarray(source.resize((width, height), Image.Resampling.BICUBIC))


def _pad_with_black(images: Pixels, size: tuple[int, int]) -> Pixels:
    n, height, width, channels = images.shape
    padded = np.zeros((n, *size, channels), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    padded[:, top : top + height, left : left + width] = images
    return padded
