"""IDX, the format of MNIST: a four-byte magic number, big-endian sizes, raw numbers."""

import io
import lzma
import math
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from glo.data.options import SourceOptions, Split
from glo.data.readers.compressed import GZIP, XZ, check_expansion, decompress
from glo.errors import UserError
from glo.utils.files import open_plain

__all__ = ["find_idx_files", "idx_options", "is_idx_name", "read_idx"]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 8
_MAX_HEADER_BYTES = 4 + 4 * _MAX_DIMENSIONS
_IMAGES = re.compile(r"(.*?)images([-.])idx\d-ubyte(\.gz|\.xz)?", re.IGNORECASE)
_TEST = re.compile(r"t10k|test", re.IGNORECASE)
_ENDINGS = ("", ".gz", ".xz")  # in order of preference


def read_idx(source: Path | bytes) -> NDArray[Any]:
    """Read one IDX array from a path or content, plain, gzip or xz, read-only.

    The sizes in the header are compared with the length before memory is allocated: a plain file
    is mapped, not loaded, and a compressed one is unpacked no further than its header claims.
    """
    what = "The IDX data" if isinstance(source, bytes) else str(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_plain(source) as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(0)
            magic = file.read(6)
            file.seek(0)
            if magic.startswith((GZIP, XZ)):
                pieces = decompress(file, GZIP if magic.startswith(GZIP) else XZ)
                return _unpack(pieces, length, what)
            shape, dtype, start = _read_header(file, what)
        _check_length(what, shape, dtype, length - start)
        if isinstance(source, bytes):
            return np.frombuffer(source, dtype, offset=start).reshape(shape)
        return np.asarray(np.memmap(source, dtype=dtype, mode="r", offset=start, shape=shape))
    except (OSError, EOFError, lzma.LZMAError, zlib.error, MemoryError) as error:
        reason = str(error).rstrip(".") or "no memory"
        raise UserError(f"{what} cannot be read ({reason}); download the file again.") from error


def is_idx_name(name: str) -> bool:
    """Return whether a file name is that of IDX images, such as train-images-idx3-ubyte.gz."""
    return _IMAGES.fullmatch(name) is not None


def find_idx_files(folder: Path, split: Split) -> tuple[Path, Path | None]:
    """Find the files of images and labels, if any, of a split in a folder of IDX files."""
    files = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_file()}
    matches = [match for name in sorted(files) if (match := _IMAGES.fullmatch(name))]
    matches = [match for match in matches if bool(_TEST.search(match[1])) == (split == "test")]
    n_sets = len({match[1] for match in matches})
    if n_sets != 1:
        content = f"more than one {split} set" if n_sets else f"no {split} set"
        raise UserError(
            f"The IDX folder {folder} has {content}; keep one file of images named like"
            f" {'t10k' if split == 'test' else 'train'}-images-idx3-ubyte in it."
        )
    best = min(matches, key=lambda match: _ENDINGS.index(match[3] or ""))
    labels = [f"{best[1]}labels{best[2]}idx1-ubyte{ending}" for ending in _ENDINGS]
    return files[best[0]], next((files[name] for name in labels if name in files), None)


def idx_options(images: NDArray[Any], options: SourceOptions) -> SourceOptions:
    """Return the options with size 32 for 28 x 28 images without a size, else unchanged."""
    if options.size is None and images.shape[1:3] == (28, 28):
        return replace(options, size=32)
    return options


def _unpack(pieces: Iterator[bytes], length: int, what: str) -> NDArray[Any]:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) >= _MAX_HEADER_BYTES:
            break
    shape, dtype, start = _read_header(io.BytesIO(content), what)
    claimed = math.prod(shape) * dtype.itemsize
    try:
        check_expansion(length, claimed, "unpack it first, a plain file is used without loading")
    except UserError as error:
        raise UserError(f"{what} is refused: {error}") from None
    for piece in pieces:
        content += piece
        if len(content) > start + claimed:
            break
    _check_length(what, shape, dtype, len(content) - start)
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    array.flags.writeable = False
    return array


def _read_header(file: IO[bytes], what: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    magic = file.read(4)
    known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _DTYPES
    if not known or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise UserError(
            f"{what} is not IDX: it begins with {magic.hex(' ') or 'nothing'}; images begin with"
            " 00 00 08 03."
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise UserError(f"{what} was cut off in its header; download the file again.")
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    if math.prod(shape) == 0:
        raise UserError(f"{what} is an empty array of shape {shape}; give one with examples.")
    return shape, np.dtype(_DTYPES[magic[2]]), 4 + len(sizes)


def _check_length(what: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != size:
        raise UserError(
            f"{what} claims an array of shape {shape}, {claimed} bytes, but has "
            f"{'less' if size < claimed else 'more'}; download the file again."
        )
