"""Decompression of gzip and xz files in pieces, with limits on size, memory and parts."""

import lzma
import zlib
from collections.abc import Generator, Iterator
from typing import IO

from glo.errors import UserError

__all__ = ["GZIP", "MAX_UNPACKED_BYTES", "XZ", "check_expansion", "decompress"]

GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"

MAX_UNPACKED_BYTES = 4 * 2**30
"""Bytes that a compressed file may unpack to in memory; more must come as a plain file."""

# Larger files have a maximum ratio: data compress less, a file of zeros 1,000 to 7,000 times.
_MIN_LIMITED_BYTES, _MAX_RATIO = 2**28, 200
_PIECE = 2**20
# xz -9 needs 65 MiB; a header may claim 4 GiB before a byte is unpacked.
_XZ_MEMORY = 2**28
# A compressed file may have several parts. Empty ones cost time and yield nothing.
_MAX_PARTS = 1000


def check_expansion(packed: int, unpacked: int, advice: str, *, in_memory: bool = True) -> None:
    """Check the bytes that a file of `packed` bytes claims to unpack to.

    More than 4 GiB (if `in_memory`), or more than 256 MiB and 200 times `packed`, is a UserError;
    its message is a clause that ends with `advice`.
    """
    if in_memory and unpacked > MAX_UNPACKED_BYTES:
        raise UserError(
            f"it unpacks to {unpacked / 2**30:.1f} GiB, at most {MAX_UNPACKED_BYTES / 2**30:.0f} "
            f"are allowed; {advice}."
        )
    if unpacked > max(_MIN_LIMITED_BYTES, _MAX_RATIO * packed):
        ratio = unpacked / max(packed, 1)
        raise UserError(
            f"it unpacks to {unpacked / 2**20:.1f} MiB, {ratio:.0f} times its length; {advice}."
        )


def decompress(file: IO[bytes], magic: bytes) -> Iterator[bytes]:
    """Decompress a gzip or xz file from its beginning in pieces of 1 byte to 1 MiB.

    Raises:
        EOFError: the file is cut off.
        OSError, zlib.error, lzma.LZMAError: it is damaged, needs more than 256 MiB to be unpacked,
            or has more than 1,000 parts.
    """
    packed = file.read(_PIECE)
    for _ in range(_MAX_PARTS):
        packed = yield from (_gzip if magic == GZIP else _xz)(file, packed)
        # Both formats allow padding with zeros.
        packed = (packed or file.read(_PIECE)).lstrip(b"\0")
        if not packed:
            return
    raise OSError(f"it has more than {_MAX_PARTS} parts")


def _gzip(file: IO[bytes], packed: bytes) -> Generator[bytes, None, bytes]:
    decompressor = zlib.decompressobj(31)
    while not decompressor.eof:
        piece = decompressor.decompress(packed, _PIECE)
        packed = decompressor.unconsumed_tail
        if piece:
            yield piece
        elif not packed and not decompressor.eof:
            packed = _read_more(file)
    return decompressor.unused_data


def _xz(file: IO[bytes], packed: bytes) -> Generator[bytes, None, bytes]:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    while not decompressor.eof:
        piece = decompressor.decompress(packed, _PIECE)
        packed = b""
        if piece:
            yield piece
        if decompressor.needs_input and not decompressor.eof:
            packed = _read_more(file)
    return decompressor.unused_data


def _read_more(file: IO[bytes]) -> bytes:
    packed = file.read(_PIECE)
    if not packed:
        raise EOFError("it was cut off")
    return packed
