"""Image files: damaged, of unusual modes, and huge ones."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from .damage import Maker, Random, damaged

__all__ = ["FAMILIES"]

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "SGI", "DDS")
_MORE = ("JPEG2000", "MSP", "XBM", "SPIDER", "IM", "ICNS", "AVIF", "QOI", "BLP", "MPO")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _picture(random: Random, mode: str = "RGB") -> Image.Image:
    side = int(random.integers(1, 40)), int(random.integers(1, 40)), 3
    if mode in ("I;16", "F"):
        return Image.fromarray(random.random(side[:2]).astype("f4")).convert(mode)
    return Image.fromarray(random.integers(0, 256, side, dtype=np.uint8)).convert(mode)


def _any_format(random: Random) -> bytes:
    kinds = (*_FORMATS, *_MORE)
    kind = kinds[int(random.integers(0, len(kinds)))]
    mode = {"MSP": "1", "XBM": "1", "SPIDER": "F", "BLP": "P"}.get(kind, "RGB")
    picture = _picture(random, mode)
    try:
        return _saved(picture.resize((16, 16)) if kind == "ICNS" else picture, kind)
    except (KeyError, OSError):  # written by newer versions of pillow alone
        return _saved(picture.convert("RGB"), "PNG")


def _odd_mode(random: Random) -> bytes:
    picture = _picture(random, _MODES[int(random.integers(0, len(_MODES)))])
    for kind in random.permutation(["TIFF", "PNG", "JPEG", "WEBP", "GIF"]).tolist():
        try:
            return _saved(picture, kind)
        except (KeyError, OSError, ValueError):
            continue
    return _saved(picture.convert("L"), "PNG")


def _animated(random: Random) -> bytes:
    frames = [_picture(random).resize((9, 9)) for _ in range(int(random.integers(2, 6)))]
    kind = ("GIF", "PNG", "WEBP", "TIFF")[int(random.integers(0, 4))]
    return _saved(frames[0], kind, save_all=True, append_images=frames[1:])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def _png(
    width: int, height: int, data: bytes, *more: bytes, depth: int = 8, colour: int = 0
) -> bytes:
    head = struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)
    parts = (_chunk(b"IHDR", head), *more, _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _claims(random: Random) -> bytes:
    """Declare a large size in a header without data."""
    side = int(random.choice([9500, 20_000, 65_535, 2**20, 2**31 - 1]))
    short = min(side, 65_535)
    few = zlib.compress(bytes(50))
    tiff = _saved(Image.new("L", (7, 7)), "TIFF")
    tags = {
        struct.pack("<HHII", tag, kind, 1, 7): struct.pack("<HHII", tag, 4, 1, side)
        for tag in (256, 257, 278)
        for kind in (3, 4)
    }
    for old, new in tags.items():
        tiff = tiff.replace(old, new)
    jpeg = bytearray(_saved(Image.new("L", (7, 7)), "JPEG"))
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">2H", short, short)
    canvas = struct.pack("<I", min(side, 2**24) - 1)[:3]
    webp = b"WEBPVP8X\x0a\0\0\0\x02\0\0\0" + canvas + canvas
    choices = [
        _png(side, side, few),
        _png(side, 1, few, colour=6),
        b"GIF89a"
        + struct.pack("<2H", short, short)
        + b"\0\0\0,\0\0\0\0"
        + b"\xff" * 4
        + b"\0\x02\0;",
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 90, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0),
        b"P5 %d %d 255\n" % (side, side) + bytes(20),
        b"P5 " + b"9" * 5000 + b" 1 255\n",
        b"RIFF" + struct.pack("<I", len(webp)) + webp,
        b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, side, side, 8, 3) + bytes(12),
        b"qoif" + struct.pack(">2IBB", side, side, 4, 0) + b"\xfd" * 30 + b"\0" * 7 + b"\1",
        struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, short, short, 24, 0) + bytes(20),
        tiff,
        bytes(jpeg),
    ]
    return choices[int(random.integers(0, len(choices)))]


def _zeros(count: int) -> bytes:
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(min(2**22, count - i))) for i in range(0, count, 2**22)]
    return b"".join(parts) + packer.flush()


def _bomb(random: Random) -> bytes:
    """Generate a decompression bomb: a small file of very many pixels."""
    width, height = [
        (9400, 9400),
        (12_000, 12_000),
        (1, 9_000_000),
        (9_000_000, 9),
        (30_000, 30_000),
    ][int(random.integers(0, 5))]
    colour, depth, size = [(0, 8, 1), (2, 8, 3), (6, 8, 4), (0, 16, 2), (3, 8, 1)][
        int(random.integers(0, 5))
    ]
    palette = [_chunk(b"PLTE", bytes(range(6)))] if colour == 3 else []
    # The last is beyond all limits, so that what follows the header is not read.
    rows = 10 if width == 30_000 else height
    return _png(
        width, height, _zeros(rows * (width * size + 1)), *palette, depth=depth, colour=colour
    )


def _texts(random: Random) -> bytes:
    """Add text chunks with bombs and invalid content."""
    bomb, pixels = _zeros(2**27), zlib.compress(bytes(8 * 9))
    chunks = [
        _chunk(b"zTXt", b"Comment\0\0" + bomb),
        _chunk(b"iCCP", b"profile\0\0" + bomb),
        _chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        _chunk(b"tEXt", b"a\0b") * 30_000,
        _chunk(b"eXIf", b"MM\0*\0\0\0\x08" + b"\xff" * 200),
        _chunk(b"tRNS", b"\xff" * 300),
        _chunk(b"acTL", b"\xff" * 8),
        _chunk(b"PLTE", b"\xff" * 900),
    ]
    return _png(8, 8, pixels, chunks[int(random.integers(0, len(chunks)))])


def _turned(random: Random) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = [0, 5, 6, 8, 9, 65_535][int(random.integers(0, 6))]
    content = _saved(
        _picture(random), ("JPEG", "PNG", "WEBP")[int(random.integers(0, 3))], exif=exif
    )
    return content.replace(
        b"\x01\x12\x00\x03", b"\x01\x12\x00" + bytes([int(random.integers(0, 14))])
    )


def _icon(random: Random) -> bytes:
    """Embed an image of another size than declared in the icon."""
    side = int(random.choice([1, 300, 9400, 20_000]))
    inner = _png(side, side, _zeros(min(side, 9400) * (side + 1)) if side < 20_000 else b"")
    head = struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 0, 0, 1, 8, len(inner), 22)
    return head + inner


def _other(random: Random) -> bytes:
    kinds = [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"\x7fELF" + bytes(60),
        b"PK\3\4" + bytes(60),
        b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x93NUMPY\1\0v\0{'descr': '|O'}",
        b"\xd7\xcd\xc6\x9a" + bytes(60),
        b"\0\0\x01\xba" + bytes(60),
        b"SIMPLE  =                    T" + b" " * 2850,
        b"\x89HDF\r\n\x1a\n" + bytes(60),
    ]
    return kinds[int(random.integers(0, len(kinds)))]


FAMILIES: dict[str, Maker | Callable[[Random], bytes]] = {
    **damaged(_any_format),
    "whole": _any_format,
    "odd modes": _odd_mode,
    "animated": _animated,
    "claims to be huge": _claims,
    "is huge": _bomb,
    "bombs beside pixels": _texts,
    "turned oddly": _turned,
    "icon of another size": _icon,
    "something else": _other,
}
