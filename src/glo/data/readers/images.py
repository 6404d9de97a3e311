"""One image file, probed or decoded to uint8, of any format, mode and orientation."""

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError, printable
from glo.utils.files import open_plain

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = [
    "Probe",
    "WeightedSemaphore",
    "decode",
    "decode_opaque",
    "decode_within_limit",
    "image_suffixes",
    "probe",
    "to_uint8_pixels",
]

# Formats that start other programs, or that pillow lists but cannot decode by itself.
_REFUSED_FORMATS = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5", "FITS"})
_COMMON_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112

MAX_FILE_BYTES = 2**28
"""Bytes of an image file: some formats are read whole before a pixel is decoded."""

# Pixels that are decoded at a time by all threads, of about 12 bytes each.
_MAX_PIXELS = 2**26
# Reads of a file: of the largest allowed, 4 KiB at a time and more.
_MAX_READS = 300_000
# A larger file is decoded alone: the memory that its reader takes is unknown before it is open.
_LARGE_BYTES = 2**24
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_STRIP_PIXELS = 2**22

T = TypeVar("T")


@final
class WeightedSemaphore:
    """Semaphore that limits the sum of the sizes in use; a larger size is admitted alone."""

    def __init__(self, capacity: int) -> None:
        self.in_use = 0
        self._capacity = capacity
        self._changed = threading.Condition()

    @contextmanager
    def acquire(self, size: int) -> Iterator[None]:
        """Wait until `size` fits, and use it inside the `with` block."""
        with self._changed:
            self._changed.wait_for(lambda: not self.in_use or self.in_use + size <= self._capacity)
            self.in_use += size
        try:
            yield
        finally:
            with self._changed:
                self.in_use -= size
                self._changed.notify_all()


_PIXELS = WeightedSemaphore(_MAX_PIXELS)


@dataclass(frozen=True)
class Probe:
    """Height and width of an image when upright, in pixels, and whether it is in color."""

    height: int
    width: int
    is_color: bool


def image_suffixes() -> frozenset[str]:
    """Return the file name suffixes, in lower case, of the supported formats."""
    from PIL import Image

    formats = set(_formats())
    suffixes = Image.registered_extensions()
    return frozenset(suffix for suffix, name in suffixes.items() if name in formats)


def probe(source: Path | BinaryIO) -> Probe:
    """Read the header of an image file; the message of a UserError is the reason alone."""

    def read(image: "PillowImage") -> Probe:
        is_turned = _early_orientation(image) >= 5
        width, height = image.size[::-1] if is_turned else image.size
        return Probe(height, width, _is_color(image))

    with _opened(source, read) as result:
        return result


def decode(source: Path | BinaryIO) -> NDArray[np.uint8]:
    """Decode an image file, of an animation the first frame, to uint8 (H, W, C), C 1 if gray.

    The EXIF orientation is applied, transparency is laid on white, 16-bit gray becomes 8-bit,
    palettes and CMYK become RGB. The message of a UserError is the reason, such as "truncated".
    """
    with decode_within_limit(source) as pixels:
        return pixels


@contextmanager
def decode_within_limit(source: Path | BinaryIO) -> Iterator[NDArray[np.uint8]]:
    """Decode an image file as `decode` does, for many files in parallel.

    Inside the `with` block its pixels count as being decoded; other threads wait while these are
    more than 67 million in all.
    """

    def read(image: "PillowImage") -> NDArray[np.uint8]:
        pixels = to_uint8_pixels(_load_upright(image))
        image.close()
        return pixels

    with _opened(source, read) as pixels:
        yield pixels


def decode_opaque(path: Path) -> NDArray[np.bool_] | None:
    """Return the mask of the pixels at least half opaque, bool (H, W); None if all are opaque."""

    def read(image: "PillowImage") -> NDArray[np.bool_] | None:
        upright = _load_upright(image)
        return _opaque_pixels(upright) if image.has_transparency_data else None

    with _opened(path, read) as mask:
        return mask


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    # Pillow tries the formats in this order.
    rest = set(Image.OPEN) - _REFUSED_FORMATS - set(_COMMON_FORMATS)
    return (*(name for name in _COMMON_FORMATS if name in Image.OPEN), *sorted(rest))


@contextmanager
def _opened(source: Path | BinaryIO, read: Callable[["PillowImage"], T]) -> Iterator[T]:
    """Yield `read(image)` while its pixels are counted; all errors of pillow become UserError."""
    from PIL import Image

    with ExitStack() as stack:
        try:
            file = stack.enter_context(_open_file(source))
            is_large = isinstance(source, Path) and os.fstat(file.fileno()).st_size > _LARGE_BYTES
            if is_large:
                stack.enter_context(_PIXELS.acquire(_MAX_PIXELS))
            # Given a path, pillow maps the file and garbles uncompressed gray TIFF that is stored
            # on its side.
            image = stack.enter_context(Image.open(file, formats=_formats()))
            n_pixels = _checked_pixels(image)
            if not is_large:
                stack.enter_context(_PIXELS.acquire(n_pixels))
            result = read(image)
        except UserError:
            raise
        except Exception as error:  # pillow's decoders raise nearly anything for a damaged file
            raise UserError(_reason(error)) from error
        yield result


def _checked_pixels(image: "PillowImage") -> int:
    from PIL import Image

    maximum, n_pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
    if (maximum is not None and n_pixels > maximum) or n_pixels < 1:
        raise UserError(f"{image.width} x {image.height} pixels, at most {maximum} are allowed")
    return n_pixels


def _load_upright(image: "PillowImage") -> "PillowImage":
    from PIL.Image import Transpose

    image.load()
    # Only now an icon has the size of the image in it.
    _checked_pixels(image)
    transpositions = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    transposition = transpositions.get(_orientation(image))
    return image if transposition is None else image.transpose(transposition)


@final
class _CountedReader(io.BufferedReader):
    """Reader with a limit on the number of reads.

    Where a format allows any bytes between its parts, pillow searches the next part byte by byte:
    fifty megabytes of zeros would take a minute.
    """

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.count += 1
        if self.count > _MAX_READS:
            raise UserError("too many parts, or nothing between them for too long")
        return super().read(size)


def _open_file(source: Path | BinaryIO) -> _CountedReader:
    if not isinstance(source, Path):
        # BufferedReader needs a raw file, which bytes in memory can stand in for.
        raw = source if isinstance(source, io.BytesIO) else io.BytesIO(source.read())
        return _CountedReader(raw)
    try:
        file = _CountedReader(open_plain(source).detach())
    except UserError:
        raise UserError("not a plain file") from None
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE_BYTES:
        file.close()
        raise UserError(f"{size:,} bytes, at most {MAX_FILE_BYTES:,} are allowed")
    return file


def _orientation(image: "PillowImage") -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # the image is readable without its EXIF
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _early_orientation(image: "PillowImage") -> int:
    # PNG may have its EXIF after the pixels, which probing does not decode; pillow turns TIFF.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    return _orientation(image)


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not an image that pillow can read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more pixels than the {Image.MAX_IMAGE_PIXELS} allowed"
    if isinstance(error, OSError) and error.strerror:
        # An error of the system; pillow's errors for damaged files have no number.
        return f"cannot be read: {error.strerror.lower()}"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return printable("truncated" if "truncated" in text.lower() else f"damaged ({text[:120]})")


def _is_color(image: "PillowImage") -> bool:
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
    channels = 3 if _is_color(image) else 1
    pixels = np.empty((image.height, image.width, channels), np.uint8)
    top = 0
    for strip in _strips(image):
        part = np.asarray(_on_white(strip, channels))
        pixels[top : top + strip.height] = part.reshape(strip.height, strip.width, channels)
        top += strip.height
    return pixels


def _opaque_pixels(image: "PillowImage") -> NDArray[np.bool_]:
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
