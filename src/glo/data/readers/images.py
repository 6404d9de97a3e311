"""One image file: looked at, or decoded to bytes, whatever its format, mode and orientation."""

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, final

import numpy as np
from numpy.typing import NDArray

from glo.data.readers.image_modes import is_colour, opaque, to_bytes
from glo.data.semaphore import WeightedSemaphore
from glo.errors import UserError, printable
from glo.utils.files import open_plain

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["Probe", "decode", "decode_opaque", "decoded", "image_suffixes", "probe", "shown"]

# Formats that start other programs, or that pillow names but cannot decode by itself.
_REFUSED = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5", "FITS"})
_COMMON = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112

LARGEST_FILE = 2**28
"""Bytes of an image file: some formats are read whole before a pixel is known."""

# Pixels that are decoded at a time, by all threads: each takes about 12 bytes.
_ROOM = 2**26
_GATE = WeightedSemaphore(_ROOM)
# How often a file is read: of the largest that is allowed, 4 KiB at a time and more.
_MOST_READS = 300_000
# A file of more bytes goes in alone: what its reader takes is not known before it is open.
_LARGE = 2**24


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


def probe(source: Path | BinaryIO) -> Probe:
    """Read the header of an image file.

    Args:
        source: where the file is, or its bytes as an open file.

    Raises:
        UserError: with the reason alone, such as "truncated", if it cannot be used.
    """
    try:
        with _open(source) as image:
            turned = _early_orientation(image) >= 5
            width, height = image.size[::-1] if turned else image.size
            return Probe(height, width, is_colour(image))
    except UserError:
        raise
    except Exception as error:  # pillow's decoders raise nearly anything on a damaged file
        raise UserError(_reason(error)) from error


def decode(source: Path | BinaryIO) -> NDArray[np.uint8]:
    """Decode an image file, as `decoded` does.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "blue.png"
        >>> Image.new("RGBA", (2, 1), (0, 0, 255, 255)).save(path)
        >>> decode(path).tolist()
        [[[0, 0, 255], [0, 0, 255]]]
    """
    with decoded(source) as pixels:
        return pixels


@contextmanager
def decoded(source: Path | BinaryIO) -> Iterator[NDArray[np.uint8]]:
    """Decode an image file; the first frame if it is animated.

    While the block lasts its pixels count as being decoded, and of those there are never more than
    a fixed number at a time: other threads wait.

    The EXIF orientation is applied, transparency is laid on white, 16-bit grey becomes 8-bit,
    palettes and CMYK become RGB.

    Args:
        source: where the file is, or its bytes as an open file.

    Yields:
        uint8 (H, W, C), C 1 for grey files and 3 for others.

    Raises:
        UserError: with the reason alone if it cannot be decoded, has more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`, or is larger than 256 MiB.
    """
    with ExitStack() as stack:
        try:
            image = stack.enter_context(_open(source))
            pixels = to_bytes(_loaded(image))
            image.close()
        except UserError:
            raise
        except Exception as error:  # as above
            raise UserError(_reason(error)) from error
        yield pixels


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
            upright = _loaded(image)
            return opaque(upright) if image.has_transparency_data else None
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
    return printable(str(path))


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

    with ExitStack() as stack:
        file = stack.enter_context(_file(source))
        is_large = isinstance(source, Path) and os.fstat(file.fileno()).st_size > _LARGE
        if is_large:
            stack.enter_context(_GATE.inside(_ROOM))
        # Given a name, pillow would map the file, and then garbles uncompressed grey TIFF that is
        # stored on its side.
        image = stack.enter_context(Image.open(file, formats=_formats()))
        pixels = _checked_pixels(image)
        if not is_large:
            stack.enter_context(_GATE.inside(pixels))
        yield image


def _checked_pixels(image: "PillowImage") -> int:
    from PIL import Image

    most, pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
    if (most is not None and pixels > most) or pixels < 1:
        raise UserError(f"{image.width} x {image.height} pixels, at most {most} are allowed")
    return pixels


def _loaded(image: "PillowImage") -> "PillowImage":
    image.load()
    # Only now an icon has the size of the picture in it.
    _checked_pixels(image)
    return _upright(image, _orientation(image))


@final
class _Counted(io.BufferedReader):
    """A file that is read a limited number of times.

    Where a format allows anything between its parts, pillow looks for the next part byte by byte:
    fifty megabytes of nothing would take it a minute.
    """

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.count += 1
        if self.count > _MOST_READS:
            raise UserError("too many parts, or nothing between them for too long")
        return super().read(size)


def _file(source: Path | BinaryIO) -> _Counted:
    if not isinstance(source, Path):
        # Bytes in memory can be read as a file of the system can.
        raw = source if isinstance(source, io.BytesIO) else io.BytesIO(source.read())
        return _Counted(raw)
    try:
        file = _Counted(open_plain(source).detach())
    except UserError:
        raise UserError("not a plain file") from None
    size = os.fstat(file.fileno()).st_size
    if size > LARGEST_FILE:
        file.close()
        raise UserError(f"{size:,} bytes, at most {LARGEST_FILE:,} are allowed")
    return file


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


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not an image that pillow can read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more pixels than the {Image.MAX_IMAGE_PIXELS} allowed"
    if isinstance(error, OSError) and error.strerror:
        # Said by the system; what pillow says of a damaged file has no number.
        return f"cannot be read: {error.strerror.lower()}"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return shown("truncated" if "truncated" in text.lower() else f"damaged ({text[:120]})")
