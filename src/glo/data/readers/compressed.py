"""Files packed with gzip or xz, unpacked piece by piece with bounds on memory and on idle work."""

import lzma
import zlib
from collections.abc import Generator, Iterator
from typing import IO

__all__ = ["GZIP", "XZ", "pieces"]

GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"

_PIECE = 2**20
# xz -9 asks for 65 MiB; a header may ask for 4 GiB before a byte is unpacked.
_XZ_MEMORY = 2**28
# A packed file may be several, one after the other. Empty ones cost time and yield nothing.
_MOST_PARTS = 1000


def pieces(file: IO[bytes], magic: bytes) -> Iterator[bytes]:
    """Unpack a file.

    Args:
        file: at its beginning.
        magic: GZIP or XZ.

    Yields:
        bytes that are not empty, at most 1 MiB at a time.

    Raises:
        EOFError: it is cut off.
        OSError, zlib.error, lzma.LZMAError: it is damaged, asks for more than 256 MiB to be
            unpacked, or is of more than 1,000 parts.

    Example:
        >>> import gzip, io
        >>> list(pieces(io.BytesIO(gzip.compress(b"abc") + gzip.compress(b"d")), GZIP))
        [b'abc', b'd']
    """
    packed = file.read(_PIECE)
    for _ in range(_MOST_PARTS):
        packed = yield from (_gzip if magic == GZIP else _xz)(file, packed)
        # Either may be padded with zeros.
        packed = (packed or file.read(_PIECE)).lstrip(b"\0")
        if not packed:
            return
    raise OSError(f"it is of more than {_MOST_PARTS} parts")


def _gzip(file: IO[bytes], packed: bytes) -> Generator[bytes, None, bytes]:
    unpacker = zlib.decompressobj(31)
    while not unpacker.eof:
        piece = unpacker.decompress(packed, _PIECE)
        packed = unpacker.unconsumed_tail
        if piece:
            yield piece
        elif not packed and not unpacker.eof:
            packed = _more(file)
    return unpacker.unused_data


def _xz(file: IO[bytes], packed: bytes) -> Generator[bytes, None, bytes]:
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    while not unpacker.eof:
        piece = unpacker.decompress(packed, _PIECE)
        packed = b""
        if piece:
            yield piece
        if unpacker.needs_input and not unpacker.eof:
            packed = _more(file)
    return unpacker.unused_data


def _more(file: IO[bytes]) -> bytes:
    packed = file.read(_PIECE)
    if not packed:
        raise EOFError("it was cut off")
    return packed
