"""Decoded images of any mode as bytes, a strip at a time: wide modes take many bytes a pixel."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["is_colour", "opaque", "to_bytes"]

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
# Pixels that are converted at a time.
_STRIP = 2**22


def is_colour(image: "PillowImage") -> bool:
    """Say whether an image is in colour; of a palette the colours that are used count."""
    if image.mode in _GREY_MODES:
        return False
    if image.mode not in ("P", "PA"):
        return True
    return any(_differs(strip) for strip in _strips(image))


def to_bytes(image: "PillowImage") -> NDArray[np.uint8]:
    """Return the pixels of an image laid on white, uint8 (H, W, C), C 1 for grey, else 3.

    Raises:
        UserError: grey values of more than 8 bits are out of range.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(image)
    channels = 3 if is_colour(image) else 1
    pixels = np.empty((image.height, image.width, channels), np.uint8)
    top = 0
    for strip in _strips(image):
        part = np.asarray(_on_white(strip, channels))
        pixels[top : top + strip.height] = part.reshape(strip.height, strip.width, channels)
        top += strip.height
    return pixels


def opaque(image: "PillowImage") -> NDArray[np.bool_]:
    """Return which pixels are at least half opaque, bool (H, W)."""
    alphas = [strip.convert("RGBA").getchannel("A") for strip in _strips(image)]
    return np.concatenate([np.asarray(alpha) >= 128 for alpha in alphas])


def _strips(image: "PillowImage") -> Iterator["PillowImage"]:
    high = max(1, _STRIP // image.width)
    if high >= image.height:
        yield image
        return
    for top in range(0, image.height, high):
        yield image.crop((0, top, image.width, min(top + high, image.height)))


def _differs(image: "PillowImage") -> bool:
    pixels = np.asarray(image.convert("RGBA"))[..., :3]
    return bool((pixels != pixels[..., :1]).any())


def _on_white(image: "PillowImage", channels: int) -> "PillowImage":
    from PIL import Image

    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, (255, 255, 255, 255)), over)
    if channels == 3:
        return image.convert("RGB")
    # By way of RGB, since a palette has no straight way to grey.
    direct = image if image.mode in ("1", "L") else image.convert("RGB")
    return direct.convert("L")


def _deep_grey(image: "PillowImage") -> NDArray[np.uint8]:
    ends = [(float(part.min()), float(part.max())) for part in map(np.asarray, _strips(image))]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    top = 1.0 if image.mode == "F" else 65535.0
    if not all(a >= 0.0 and b <= top for a, b in ends):
        raise UserError(f"grey values from {low:g} to {high:g}, allowed are 0 to {top:g}")
    parts = [_scaled(np.asarray(strip), 255.0 / top) for strip in _strips(image)]
    return np.concatenate(parts)[..., None]


def _scaled(values: NDArray[np.generic], factor: float) -> NDArray[np.uint8]:
    return np.rint(values.astype(np.float64) * factor).astype(np.uint8)
