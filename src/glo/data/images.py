"""One image file: looked at, or decoded to bytes, whatever its format, mode and orientation."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["Probe", "decode", "decode_opaque", "image_suffixes", "probe", "shown"]

# Formats that start other programs, or that pillow names but cannot decode by itself.
_REFUSED = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5", "FITS"})
_COMMON = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Probe:
    """What an image is without decoding it: its sides as seen upright, and whether it is grey."""

    height: int
    width: int
    is_colour: bool


def image_suffixes() -> frozenset[str]:
    """Return the file name endings, in lower case, of the formats that are read.

    Example:
        >>> {".png", ".jpg", ".webp"} <= image_suffixes(), ".eps" in image_suffixes()
        (True, False)
    """
    from PIL import Image

    allowed = set(_formats())
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in allowed)


def probe(path: Path) -> Probe:
    """Read the header of an image file.

    Raises:
        UserError: with the reason alone, such as "truncated", if it cannot be used.
    """
    try:
        with _open(path) as image:
            turned = _early_orientation(image) >= 5
            width, height = image.size[::-1] if turned else image.size
            return Probe(height, width, _is_colour(image))
    except UserError:
        raise
    except Exception as error:  # pillow's decoders raise nearly anything on a damaged file
        raise UserError(_reason(error)) from error


def decode(source: Path | BinaryIO) -> NDArray[np.uint8]:
    """Decode an image file; the first frame if it is animated.

    The EXIF orientation is applied, transparency is laid on white, 16-bit grey becomes 8-bit,
    palettes and CMYK become RGB.

    Args:
        source: where the file is, or its bytes as an open file.

    Returns:
        uint8 (H, W, C), C 1 for grey files and 3 for others.

    Raises:
        UserError: with the reason alone if it cannot be decoded, or has more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "blue.png"
        >>> Image.new("RGBA", (2, 1), (0, 0, 255, 255)).save(path)
        >>> decode(path).tolist()
        [[[0, 0, 255], [0, 0, 255]]]
    """
    try:
        with _open(source) as image:
            image.load()
            upright = _upright(image, _orientation(image))
            return _to_bytes(upright)
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(_reason(error)) from error


def decode_opaque(path: Path) -> NDArray[np.bool_] | None:
    """Tell which pixels of an image file can be seen: those at least half opaque.

    Returns:
        bool (H, W), or None for an image without transparency.

    Raises:
        UserError: with the reason alone if it cannot be decoded.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "clear.png"
        >>> Image.new("LA", (2, 1), (255, 0)).save(path)
        >>> decode_opaque(path).tolist()
        [[False, False]]
    """
    try:
        with _open(path) as image:
            image.load()
            if not image.has_transparency_data:
                return None
            upright = _upright(image, _orientation(image)).convert("RGBA")
            return np.asarray(upright.getchannel("A")) >= 128
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(_reason(error)) from error


def shown(path: Path | str) -> str:
    """Return a file name fit for a message: no control characters, no broken encoding.

    Example:
        >>> shown("a\\nb.png")
        'a\\\\nb.png'
    """
    text = str(path)
    return text if text.isprintable() else ascii(text)[1:-1]


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    # Pillow asks them in this order.
    rest = set(Image.OPEN) - _REFUSED - set(_COMMON)
    return (*(name for name in _COMMON if name in Image.OPEN), *sorted(rest))


@contextmanager
def _open(source: Path | BinaryIO) -> Iterator["PillowImage"]:
    from PIL import Image

    # Given a name, pillow would map the file, and then garbles uncompressed grey TIFF that is
    # stored on its side.
    with _file(source) as file, Image.open(file, formats=_formats()) as image:
        most, pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
        if (most is not None and pixels > most) or pixels < 1:
            raise UserError(f"{image.width} x {image.height} pixels, at most {most} are allowed")
        yield image


def _file(source: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    if not isinstance(source, Path):
        return nullcontext(source)
    # Opening a pipe would wait for ever.
    if not stat.S_ISREG(os.stat(source).st_mode):
        raise UserError("not a plain file")
    return source.open("rb")


def _orientation(image: "PillowImage") -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF is no reason to lose the picture
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _early_orientation(image: "PillowImage") -> int:
    # PNG may show its EXIF only after decoding, which looking should not cost; TIFF turns itself.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    return _orientation(image)


def _upright(image: "PillowImage", orientation: int) -> "PillowImage":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _is_colour(image: "PillowImage") -> bool:
    if image.mode in _GREY_MODES:
        return False
    if image.mode not in ("P", "PA"):
        return True
    pixels = np.asarray(image.convert("RGBA"))[..., :3]
    return bool((pixels != pixels[..., :1]).any())


def _to_bytes(image: "PillowImage") -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(np.asarray(image))[..., None]
    is_colour = _is_colour(image)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, (255, 255, 255, 255)), over)
    if is_colour:
        return np.asarray(image.convert("RGB"))
    # By way of RGB, since a palette has no straight way to grey.
    direct = image if image.mode in ("1", "L") else image.convert("RGB")
    return np.asarray(direct.convert("L"))[..., None]


def _deep_grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    levels = values.astype(np.float64)
    low, high = float(levels.min()), float(levels.max())
    top = 1.0 if values.dtype.kind == "f" else 65535.0
    if not (low >= 0.0 and high <= top):
        raise UserError(f"grey values from {low:g} to {high:g}, allowed are 0 to {top:g}")
    return np.rint(levels * (255.0 / top)).astype(np.uint8)


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not an image that pillow can read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more pixels than the {Image.MAX_IMAGE_PIXELS} allowed"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return shown("truncated" if "truncated" in text.lower() else f"damaged ({text[:120]})")
