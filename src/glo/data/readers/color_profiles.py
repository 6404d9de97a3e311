"""Color profiles (ICC) of image files: conversion to sRGB where a profile differs from it."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["BROKEN", "SRGB", "Conversion", "apply_profile", "find_conversion"]

SRGB = "srgb"
"""Profile that needs no conversion."""
BROKEN = "broken"
"""Profile that is damaged, or for other channels than those of the image."""

Conversion = Any
"""SRGB, BROKEN, or a transform of pillow's `ImageCms` from `input_mode` to RGB."""

# Larger ones are no profiles: those of printers have one or two megabytes.
_MAX_BYTES = 2**23
# 8-bit levels by which a profile may differ from sRGB without a conversion.
_TOLERANCE = 2
_NO_CACHE, _BLACK_POINT = 0x0040, 0x2000
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def find_conversion(image: "PillowImage") -> Conversion:
    """Return the conversion of an image by its embedded profile; SRGB without one."""
    profile = image.info.get("icc_profile")
    # Pillow converts CIELAB by its definition.
    if not profile or image.mode == "LAB":
        return SRGB
    if not isinstance(profile, bytes) or len(profile) > _MAX_BYTES:
        return BROKEN
    conversion = _conversion(profile)
    if conversion in (SRGB, BROKEN):
        return conversion
    is_gray = image.mode in ("1", "L", "LA", "La") or image.mode[0] in "IF"
    channels = "CMYK" if image.mode == "CMYK" else "L" if is_gray else "RGB"
    # A gray image may have the profile of RGB; the reverse has no meaning.
    fits = conversion.input_mode in ((channels, "RGB") if is_gray else (channels,))
    return conversion if fits else BROKEN


def apply_profile(image: "PillowImage", conversion: Conversion) -> "PillowImage":
    """Return an opaque image of mode L, RGB or CMYK in sRGB; gray stays gray."""
    if conversion in (SRGB, BROKEN):
        return image
    source = image if image.mode == conversion.input_mode else image.convert(conversion.input_mode)
    converted: PillowImage = conversion.apply(source)
    return converted.convert("L") if image.mode == "L" else converted


# Photographs of a folder share a few profiles.
@lru_cache(maxsize=16)
def _conversion(profile: bytes) -> Conversion:
    from io import BytesIO

    try:
        from PIL import Image, ImageCms

        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags(_NO_CACHE | _BLACK_POINT),
        )
        if mode == "CMYK":
            return transform
        probes = Image.fromarray(_probes()).convert(mode)
        before = np.asarray(probes.convert("RGB")).astype(int)
        after = np.asarray(transform.apply(probes)).astype(int)
    except Exception:  # damaged, of another class, or pillow is without LittleCMS
        return BROKEN
    return SRGB if np.abs(after - before).max() <= _TOLERANCE else transform


def _probes() -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return a cube of colors, uint8 (125, 5, 3), which has a ramp of gray in it."""
    levels = np.array([0, 40, 100, 180, 255], np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
    return np.repeat(cube, 5, axis=1)
