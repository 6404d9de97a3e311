"""IDX, the format of MNIST: a four-byte magic, big-endian sizes, raw numbers."""

import io
import lzma
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from glo.data.limits import check_unpacking
from glo.data.readers.compressed import GZIP, XZ, pieces
from glo.errors import UserError
from glo.utils.files import open_plain

__all__ = ["read_idx"]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 8
_LONGEST_HEADER = 4 + 4 * _MOST_DIMENSIONS


def read_idx(source: Path | bytes) -> NDArray[Any]:
    """Read one IDX array, plain, gzip or xz, told apart by their first bytes.

    The sizes in the header are compared with what is there before memory is taken: a plain file
    is mapped, not loaded, and a compressed one is unpacked no further than its header says.

    Args:
        source: a file, or the bytes of one.

    Returns:
        the array, read-only, of the dtype and shape that the header names.

    Raises:
        UserError: if the source is not IDX, is cut off or too long, or unpacks to more than 4 GiB.

    Example:
        >>> header = bytes([0, 0, 8, 2]) + (1).to_bytes(4, "big") + (3).to_bytes(4, "big")
        >>> read_idx(header + bytes([7, 8, 9]))
        array([[7, 8, 9]], dtype=uint8)
    """
    what = "The IDX data" if isinstance(source, bytes) else str(source)
    try:
        with _open(source) as file:
            magic = file.read(6)
            file.seek(0)
            if not magic.startswith((GZIP, XZ)):
                return _map(source, what)
            length = file.seek(0, os.SEEK_END)
            file.seek(0)
            return _unpack(pieces(file, GZIP if magic.startswith(GZIP) else XZ), length, what)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, MemoryError) as error:
        reason = str(error).rstrip(".") or "no memory"
        raise UserError(f"{what} cannot be read ({reason}); fetch the file again.") from error


def _open(source: Path | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else open_plain(source)


def _map(source: Path | bytes, what: str) -> NDArray[Any]:
    if isinstance(source, bytes):
        shape, dtype, start = _read_header(io.BytesIO(source), what)
        _check_length(what, shape, dtype, len(source) - start)
        return np.frombuffer(source, dtype, offset=start).reshape(shape)
    with source.open("rb") as file:
        shape, dtype, start = _read_header(file, what)
    _check_length(what, shape, dtype, source.stat().st_size - start)
    return np.asarray(np.memmap(source, dtype=dtype, mode="r", offset=start, shape=shape))


def _unpack(unpacked: Iterator[bytes], length: int, what: str) -> NDArray[Any]:
    data = bytearray()  # grows with what is really there
    for piece in unpacked:
        data += piece
        if len(data) >= _LONGEST_HEADER:
            break
    shape, dtype, start = _read_header(io.BytesIO(data), what)
    claimed = math.prod(shape) * dtype.itemsize
    try:
        advice = "unpack it first, a plain file is used unloaded"
        check_unpacking(length, claimed, advice)
    except UserError as error:
        raise UserError(f"{what} is refused: {error}") from None
    for piece in unpacked:
        data += piece
        if len(data) > start + claimed:
            break
    _check_length(what, shape, dtype, len(data) - start)
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    array.flags.writeable = False
    return array


def _read_header(file: IO[bytes], what: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    magic = file.read(4)
    known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _DTYPES
    if not known or not 1 <= magic[3] <= _MOST_DIMENSIONS:
        raise UserError(
            f"{what} is not IDX: it begins with {magic.hex(' ') or 'nothing'}; images begin with"
            " 00 00 08 03."
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise UserError(f"{what} was cut off in its header; fetch the file again.")
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    if math.prod(shape) == 0:
        raise UserError(f"{what} is an empty array of shape {shape}; give one with examples.")
    return shape, np.dtype(_DTYPES[magic[2]]), 4 + len(sizes)


def _check_length(what: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != size:
        relation = "less" if size < claimed else "more"
        raise UserError(
            f"{what} claims an array of shape {shape}, {claimed} bytes, but holds {relation};"
            " fetch the file again."
        )
