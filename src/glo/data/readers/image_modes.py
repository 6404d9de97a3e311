"""Conversion of pillow images of any mode to uint8, in strips that bound the memory."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["is_color", "opaque_pixels", "to_uint8_pixels"]

_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_STRIP_PIXELS = 2**22


def is_color(image: "PillowImage") -> bool:
    """Return whether an image is in color; of a palette only the colors in use count."""
    if image.mode in _GRAY_MODES:
        return False
    if image.mode not in ("P", "PA"):
        return True
    arrays = (np.asarray(strip.convert("RGBA"))[..., :3] for strip in _strips(image))
    return any(bool((pixels != pixels[..., :1]).any()) for pixels in arrays)


def to_uint8_pixels(image: "PillowImage") -> NDArray[np.uint8]:
    """Return the pixels of an image laid on white, uint8 (H, W, C), C 1 for gray, else 3."""
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_gray(image)
    channels = 3 if is_color(image) else 1
    pixels = np.empty((image.height, image.width, channels), np.uint8)
    top = 0
    for strip in _strips(image):
        part = np.asarray(_on_white(strip, channels))
        pixels[top : top + strip.height] = part.reshape(strip.height, strip.width, channels)
        top += strip.height
    return pixels


def opaque_pixels(image: "PillowImage") -> NDArray[np.bool_]:
    """Return the mask of the pixels that are at least half opaque, bool (H, W)."""
    alphas = [strip.convert("RGBA").getchannel("A") for strip in _strips(image)]
    return np.concatenate([np.asarray(alpha) >= 128 for alpha in alphas])


def _strips(image: "PillowImage") -> Iterator["PillowImage"]:
    height = max(1, _STRIP_PIXELS // image.width)
    if height >= image.height:
        yield image
        return
    for top in range(0, image.height, height):
        yield image.crop((0, top, image.width, min(top + height, image.height)))


def _on_white(image: "PillowImage", channels: int) -> "PillowImage":
    from PIL import Image

    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    if channels == 3:
        return image.convert("RGB")
    # A palette cannot be converted to gray without RGB in between.
    return (image if image.mode in ("1", "L") else image.convert("RGB")).convert("L")


def _deep_gray(image: "PillowImage") -> NDArray[np.uint8]:
    ranges = [(float(part.min()), float(part.max())) for part in map(np.asarray, _strips(image))]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    white = 1.0 if image.mode == "F" else 65535.0
    # Comparing each strip refuses NaN, which min and max may lose.
    if not all(a >= 0.0 and b <= white for a, b in ranges):
        raise UserError(f"gray values from {low:g} to {high:g}, allowed are 0 to {white:g}")
    factor = 255.0 / white
    parts = [np.rint(np.asarray(strip).astype(np.float64) * factor) for strip in _strips(image)]
    return np.concatenate([part.astype(np.uint8) for part in parts])[..., None]
