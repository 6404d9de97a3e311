"""One image file, probed or decoded, of any format, mode, depth and orientation."""

import io
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from glo.data.pixels import to_bytes
from glo.data.readers.color_profiles import (
    BROKEN,
    SRGB,
    Conversion,
    apply_profile,
    find_conversion,
)
from glo.data.readers.deep_images import (
    DeepValues,
    PixelKind,
    is_16_bit_gray_alpha,
    pixel_kind,
    read_deep_values,
)
from glo.errors import UserError, printable
from glo.utils.files import open_plain

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = [
    "Decoded",
    "ImageFacts",
    "WeightedSemaphore",
    "decode",
    "decode_opaque",
    "decode_within_limit",
    "image_suffixes",
    "probe",
    "to_array",
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
# Modes with an alpha channel, and those without it.
_OPAQUE_MODES = {"RGBA": "RGB", "LA": "L", "PA": "P"}

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


# Values of black and white in an image file by itself.
_FULL_RANGES: dict[PixelKind, tuple[float, float]] = {
    "uint8": (0.0, 255.0),
    "uint16": (0.0, 65535.0),
    "integer": (0.0, 65535.0),
    "float": (0.0, 1.0),
}


class ImageFacts(NamedTuple):
    """Facts about an image file.

    Attributes:
        height: height in pixels when upright.
        width: width in pixels when upright.
        is_color: whether the image is in color.
        kind: kind of the values.
        low: smallest value, if the image was measured.
        high: largest value, if the image was measured.
        has_frames: whether the file has more than one page or frame, of which the first is read.
        profile: "converted" from a color profile to sRGB, "broken" if it is ignored, or empty.
        has_empty_alpha: whether the alpha channel is 0 everywhere, and is ignored.
    """

    height: int
    width: int
    is_color: bool
    kind: PixelKind = "uint8"
    low: float = 0.0
    high: float = 255.0
    has_frames: bool = False
    profile: str = ""
    has_empty_alpha: bool = False


@final
@dataclass(frozen=True, eq=False)
class Decoded:
    """Image in the values of its file, laid on white if they have 8 bits.

    Attributes:
        facts: facts about it.
        pixels: values (H, W, C), C 1 for gray, else 3.
    """

    facts: ImageFacts
    pixels: NDArray[Any]
    _deep: DeepValues
    _conversion: Conversion

    def to_uint8(self, black: float, white: float) -> NDArray[np.uint8]:
        """Return the pixels, uint8 (H, W, C), scaled so that black is 0 and white is 255."""
        if self._deep.is_inverted:
            black, white = white, black
        result = np.empty(self.pixels.shape, np.uint8)
        step = max(1, _STRIP_PIXELS // self.pixels[0].size)
        for top in range(0, len(result), step):
            rows = slice(top, top + step)
            alpha = None if self._deep.alpha is None else self._deep.alpha[rows]
            part = to_bytes(self.pixels[rows], black, white, alpha)
            result[rows] = _apply_to_pixels(part, self._conversion)
        return result


def image_suffixes() -> frozenset[str]:
    """Return the file name suffixes, in lower case, of the supported formats."""
    from PIL import Image

    formats = set(_formats())
    suffixes = Image.registered_extensions()
    return frozenset(suffix for suffix, name in suffixes.items() if name in formats)


def probe(source: Path | BinaryIO, *, measure: bool = False) -> ImageFacts:
    """Read the header of an image file; the message of a UserError is the reason alone.

    Args:
        source: the file.
        measure: whether the values of a file of more than 8 bits are read to find their range,
            which includes the largest value that the file declares.
    """

    def read(image: "PillowImage", file: BinaryIO) -> ImageFacts:
        kind = pixel_kind(image)
        if measure and kind != "uint8":
            decoded = _decode(image, file)
            high = max(decoded.facts.high, decoded._deep.declared or 0.0)
            return decoded.facts._replace(high=high)
        is_turned = _early_orientation(image) >= 5
        width, height = image.size[::-1] if is_turned else image.size
        return ImageFacts(height, width, _is_color(image), kind)

    with _opened(source, read) as result:
        return result


def decode(source: Path | BinaryIO) -> NDArray[np.uint8]:
    """Decode an image file, of an animation the first frame, to uint8 (H, W, C), C 1 if gray.

    The EXIF orientation is applied, transparency is laid on white, the full range of deeper
    channels becomes 8 bits, color profiles, palettes and CMYK become sRGB. The message of a
    UserError is the reason, such as "truncated".
    """
    with decode_within_limit(source) as decoded:
        return _full_range(decoded)


@contextmanager
def decode_within_limit(source: Path | BinaryIO) -> Iterator[Decoded]:
    """Decode an image file to the values in it, for many files in parallel.

    Inside the `with` block its pixels count as being decoded; other threads wait while these are
    more than 67 million in all.
    """
    with _opened(source, _decode) as decoded:
        yield decoded


def decode_opaque(path: Path) -> NDArray[np.bool_] | None:
    """Return the mask of the pixels at least half opaque, bool (H, W); None if all are opaque."""

    def read(image: "PillowImage", _: BinaryIO) -> NDArray[np.bool_] | None:
        strips = _strips(_load_upright(image))
        if not image.has_transparency_data:
            return None
        alphas = [strip.convert("RGBA").getchannel("A") for strip in strips]
        return np.concatenate([np.asarray(alpha) >= 128 for alpha in alphas])

    with _opened(path, read) as mask:
        return mask


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    # Pillow tries the formats in this order.
    rest = set(Image.OPEN) - _REFUSED_FORMATS - set(_COMMON_FORMATS)
    return (*(name for name in _COMMON_FORMATS if name in Image.OPEN), *sorted(rest))


@contextmanager
def _opened(source: Path | BinaryIO, read: Callable[["PillowImage", BinaryIO], T]) -> Iterator[T]:
    """Yield `read(image, file)` while its pixels are counted; errors of pillow become UserError."""
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
                # Deep images are decoded twice and to wider numbers.
                weight = 1 if pixel_kind(image) == "uint8" else 2
                stack.enter_context(_PIXELS.acquire(n_pixels * weight))
            result = read(image, file)
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
    if image.mode in _GRAY_MODES or is_16_bit_gray_alpha(image):
        return False
    if image.mode not in ("P", "PA"):
        return True
    arrays = (np.asarray(strip.convert("RGBA"))[..., :3] for strip in _strips(image))
    return any(bool((pixels != pixels[..., :1]).any()) for pixels in arrays)


def to_array(image: "PillowImage") -> NDArray[Any]:
    """Return the pixels of an image of pillow (H, W, C), C 1 for gray, else 3.

    They are uint8, laid on white, or the values of a gray image of more bits, whose range is that
    of all images of a source.
    """
    decoded = _decode(image, None)
    is_plain = decoded._deep.alpha is None and not decoded._deep.is_inverted
    return decoded.pixels if is_plain else _full_range(decoded)


def _full_range(decoded: Decoded) -> NDArray[np.uint8]:
    (black, white), facts = _FULL_RANGES[decoded.facts.kind], decoded.facts
    if not black <= facts.low <= facts.high <= white:
        raise UserError(
            f"gray values from {facts.low:g} to {facts.high:g}, allowed are {black:g} to {white:g}"
        )
    return decoded.to_uint8(black, white)


def _decode(image: "PillowImage", file: BinaryIO | None) -> Decoded:
    from PIL import Image

    def reopen() -> "PillowImage":
        assert file is not None
        file.seek(0)
        return Image.open(file, formats=_formats())

    kind, has_frames, conversion = pixel_kind(image), _has_frames(image), find_conversion(image)
    profile = BROKEN if conversion == BROKEN else "" if conversion == SRGB else "converted"
    if kind == "uint8":
        upright, has_empty_alpha = _without_empty_alpha(_load_upright(image))
        values = _uint8_pixels(upright, conversion)
        deep, conversion = DeepValues(values, has_empty_alpha=has_empty_alpha), SRGB
    else:
        deep = read_deep_values(image, _load_upright, None if file is None else reopen)
    if file is not None:
        image.close()
    pixels = deep.values
    low, high = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"gray values from {low:g} to {high:g}, which are not all numbers")
    height, width, channels = pixels.shape
    facts = ImageFacts(
        height, width, channels == 3, kind, low, high, has_frames, profile, deep.has_empty_alpha
    )
    return Decoded(facts, pixels, deep, conversion)


def _without_empty_alpha(image: "PillowImage") -> tuple["PillowImage", bool]:
    """Return an image without an alpha channel that is 0 everywhere, as writers that have none set.

    Transparency of a color or of a palette is meant.
    """
    if image.mode not in _OPAQUE_MODES or image.getchannel("A").getextrema()[1]:
        return image, False
    return image.convert(_OPAQUE_MODES[image.mode]), True


def _has_frames(image: "PillowImage") -> bool:
    # The second picture of a camera's MPO file is a depth map or another view.
    if image.format == "MPO":
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # the first frame is readable without the second
        return False


def _uint8_pixels(image: "PillowImage", conversion: Conversion) -> NDArray[np.uint8]:
    channels = 3 if _is_color(image) else 1
    pixels = np.empty((image.height, image.width, channels), np.uint8)
    top = 0
    for strip in _strips(image):
        part = np.asarray(_on_white(strip, channels, conversion))
        pixels[top : top + strip.height] = part.reshape(strip.height, strip.width, channels)
        top += strip.height
    return pixels


def _strips(image: "PillowImage") -> Iterator["PillowImage"]:
    height = max(1, _STRIP_PIXELS // image.width)
    if height >= image.height:
        yield image
        return
    for top in range(0, image.height, height):
        yield image.crop((0, top, image.width, min(top + height, image.height)))


def _on_white(image: "PillowImage", channels: int, conversion: Conversion) -> "PillowImage":
    from PIL import Image

    if image.mode == "La":
        # Premultiplied gray: adding what is transparent lays it on white.
        gray, alpha = np.moveaxis(np.asarray(image).astype(np.uint16), 2, 0)
        image = Image.fromarray((gray + 255 - alpha).clip(0, 255).astype(np.uint8))
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    if image.mode == "CMYK":
        image = apply_profile(image, conversion)
        conversion = SRGB
    # A palette cannot be converted to gray without RGB in between.
    is_gray = channels == 1 and image.mode in ("1", "L")
    image = image.convert("L" if is_gray else "RGB")
    if channels == 1:
        image = image.convert("L")
    return apply_profile(image, conversion)


def _apply_to_pixels(pixels: NDArray[np.uint8], conversion: Conversion) -> NDArray[np.uint8]:
    from PIL import Image

    if conversion in (SRGB, BROKEN):
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(apply_profile(image, conversion)).reshape(pixels.shape)
