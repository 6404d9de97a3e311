"""Image files of more than 8 bits a channel: their kind and their exact values."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["DeepValues", "PixelKind", "is_16_bit_gray_alpha", "pixel_kind", "read_deep_values"]

PixelKind = Literal["uint8", "uint16", "integer", "float"]
"""Kind of the values of a file: 8 bits, 16 bits, other integers, floats; as in a `Reading`."""

_PHOTOMETRIC, _SAMPLE_FORMAT, _BITS, _PLANAR = 262, 339, 258, 284
_SIGNED = 2
_GRAY_ALPHA = "LA;16B"
# Pillow scales the values of these formats to 16 bits.
_SCALED_FORMATS = ("PPM", "JPEG2000")


class DeepValues(NamedTuple):
    """Pixels in the values of a file.

    Attributes:
        values: integers or floats (H, W, C), C 1 or 3.
        alpha: opacity from 0 to 1, (H, W, 1), or None.
        declared: largest value that the file declares, or None.
        is_inverted: whether the smallest value is white.
        has_empty_alpha: whether the file has an alpha channel of 0 everywhere, which is ignored.
    """

    values: NDArray[Any]
    alpha: NDArray[np.float32] | None = None
    declared: float | None = None
    is_inverted: bool = False
    has_empty_alpha: bool = False


def pixel_kind(image: "PillowImage") -> PixelKind:
    """Return the kind of the values of an image that is not loaded yet."""
    if image.mode == "F":
        return "float"
    if image.mode.startswith("I;16") or _has_16_bit_channels(image):
        return "uint16"
    if image.mode == "I":
        return "integer" if image.format not in ("PNG", *_SCALED_FORMATS) else "uint16"
    return "integer" if image.mode == "L" and _tag(image, _SAMPLE_FORMAT) == _SIGNED else "uint8"


def is_16_bit_gray_alpha(image: "PillowImage") -> bool:
    """Return whether an image that is not loaded is 16-bit gray with alpha, RGBA for pillow."""
    return _raw_mode(image) == _GRAY_ALPHA


def read_deep_values(
    image: "PillowImage",
    load: Callable[["PillowImage"], "PillowImage"],
    reopen: Callable[[], "PillowImage"] | None,
) -> DeepValues:
    """Read the values of an image of a kind other than "uint8".

    Args:
        image: opened image, which is not loaded.
        load: function that loads an image and turns it upright.
        reopen: function that opens the file of the image again; None for an image without a file.
    """
    if reopen is not None and _has_16_bit_channels(image):
        return _read_16_bit_channels(image, load, reopen)
    bits, is_signed = _tag(image, _BITS), _tag(image, _SAMPLE_FORMAT) == _SIGNED
    is_inverted = image.mode != "L" and _tag(image, _PHOTOMETRIC) == 0
    transparent = image.info.get("transparency")
    declared = 65535.0 if image.format in _SCALED_FORMATS else 4095.0 if bits == 12 else None
    values = np.asarray(load(image))[..., None]
    if values.dtype == np.int32 and bits == 32 and not is_signed:
        values = values.view(np.uint32)  # pillow reads unsigned integers as signed ones
    elif values.dtype == np.uint8 and is_signed:
        values = values.view(np.int8)
    alpha = None
    if isinstance(transparent, int):
        alpha = (values != transparent).astype(np.float32)
    return DeepValues(values, alpha, declared, is_inverted)


def _tag(image: "PillowImage", tag: int) -> int | None:
    """Return the first value of a tag of a TIFF file, None of other files."""
    value = getattr(image, "tag_v2", {}).get(tag) if image.format == "TIFF" else None
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None


def _raw_mode(image: "PillowImage") -> str:
    """Return pillow's name of the layout of the pixels in a file that is not loaded."""
    tiles: list[Any] = getattr(image, "tile", [])
    args = tiles[0][3] if tiles else ""
    mode = args[0] if isinstance(args, tuple) and args else args
    return mode if isinstance(mode, str) else ""


def _has_16_bit_channels(image: "PillowImage") -> bool:
    if image.mode not in ("RGB", "RGBA"):
        return False
    return _tag(image, _BITS) == 16 or (image.format == "PNG" and ";16" in _raw_mode(image))


def _read_16_bit_channels(
    image: "PillowImage",
    load: Callable[["PillowImage"], "PillowImage"],
    reopen: Callable[[], "PillowImage"],
) -> DeepValues:
    """Read 16-bit color by decoding twice, for the high and the low bytes.

    Pillow has no mode of 16-bit color and drops the low bytes. Those of the one order of bytes are
    the high bytes of the other.
    """
    raw, transparent = _raw_mode(image), image.info.get("transparency")
    if _tag(image, _PLANAR) == 2:
        raise UserError("16-bit channels in separate planes, which pillow cannot read")
    if raw == _GRAY_ALPHA:
        _set_raw_mode(image, "RGBA")
        both = np.asarray(load(image))
        values = _join_bytes(both[..., 0::2], both[..., 1::2])
    else:
        layout, order = raw.split(";16")
        native = "L" if sys.byteorder == "little" else "B"
        order = native if order == "N" else order
        # Pillow divides by the opacity what is multiplied by it, which needs both bytes.
        plain = layout.replace("a", "A")
        _set_raw_mode(image, f"{plain};16{order}")
        high = np.asarray(load(image))
        other = reopen()
        _set_raw_mode(other, f"{plain};16{'B' if order == 'L' else 'L'}")
        values = _join_bytes(high, np.asarray(load(other)))
    n_colors = 1 if raw == _GRAY_ALPHA else 3
    colors = values[..., :n_colors]
    alpha = None
    if values.shape[2] > n_colors:
        if not values[..., n_colors:].any():
            return DeepValues(colors, has_empty_alpha=True)
        alpha = values[..., n_colors:].astype(np.float32) / np.float32(65535)
        if "a" in raw:
            colors = np.rint(colors / alpha.clip(1e-9)).clip(0, 65535).astype(np.uint16)
    elif isinstance(transparent, tuple) and len(transparent) == n_colors:
        is_opaque = (colors != np.array(transparent, np.uint16)).any(axis=2, keepdims=True)
        alpha = is_opaque.astype(np.float32)
    return DeepValues(colors, alpha)


def _join_bytes(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    values: NDArray[np.uint16] = high.astype(np.uint16)
    values *= np.uint16(256)
    values += low
    return values


def _set_raw_mode(image: "PillowImage", mode: str) -> None:
    target: Any = image
    for place, tile in enumerate(target.tile):
        args = (mode, *tile[3][1:]) if isinstance(tile[3], tuple) else mode
        changed = (*tile[:3], args)
        # Tiles are plain tuples in older releases of pillow.
        target.tile[place] = tile._make(changed) if hasattr(tile, "_make") else changed
