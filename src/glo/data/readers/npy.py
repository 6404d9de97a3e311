"""NumPy's .npy and .npz files, read without unpickling anything."""

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.compressed import check_expansion
from glo.errors import UserError
from glo.utils.files import open_plain

__all__ = ["open_npy", "read_npz", "read_npz_examples"]

# Bytes of the member list of a .npz file: thousands of arrays.
_MAX_LIST_BYTES = 2**20


def open_npy(path: Path) -> NDArray[Any]:
    """Map a .npy file of any shape, and of any dtype without Python objects, read-only."""
    try:
        open_plain(path).close()  # a pipe would block the next line
        with np.errstate(over="raise"):
            # This is numpy.load(mmap_mode="r") for .npy files alone, not for pickles and archives.
            array = npy_format.open_memmap(path, mode="r")
    except UserError:
        raise
    except Exception as error:  # NumPy raises nearly anything for a damaged header
        raise UserError(
            f"{path} cannot be read as a .npy file ({_reason(error)}); save one plain array of "
            f"numbers with numpy.save."
        ) from error
    size, expected = path.stat().st_size, array.offset + array.nbytes
    if size != expected:
        raise UserError(
            f"{path} has {size} bytes, but its header claims shape {array.shape}, {expected} "
            f"bytes; save it again."
        )
    if array.size == 0:
        shape = array.shape
        raise UserError(f"{path} is empty, an array of shape {shape}; save at least one example.")
    return np.asarray(array)


def read_npz(
    path: Path, names: tuple[str, ...], *, or_only: bool = False
) -> tuple[str, NDArray[Any]] | None:
    """Read the first of the named arrays in a .npz file, or its only one (`or_only`), or None."""
    try:
        with _open_zip(path) as archive:
            members = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
            matches = [name for name in names if name in members]
            if not matches and or_only and len(members) == 1:
                matches = members
            return (matches[0], _read_member(archive, matches[0])) if matches else None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # zipfile and NumPy raise nearly anything for a damaged file
        raise UserError(
            f"{path} cannot be read as a .npz file ({_reason(error)}); save plain arrays of "
            f"numbers with numpy.savez."
        ) from error


def read_npz_examples(
    path: Path, options: SourceOptions
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read the examples and the labels, if any, of a .npz file as they are stored."""
    split = options.split
    examples = read_npz(path, (f"x_{split}", f"{split}_images"))
    if examples is not None:
        labels = read_npz(path, (f"y_{split}", f"{split}_labels"))
    else:
        check_train_split(str(path), options)
        examples = read_npz(path, ("x", "images", "data", "arr_0"), or_only=True)
        labels = read_npz(path, ("labels", "y"))
    if examples is None:
        with _open_zip(path) as archive:
            members = [name.removesuffix(".npy") for name in archive.namelist()[:8]]
        names = ", ".join(members) or "nothing"
        raise UserError(f"{path} contains {names}; name the examples x, and their labels y.")
    return examples[1], None if labels is None or labels[0] == examples[0] else labels[1]


@final
class _LimitedReader(io.BufferedReader):
    """Reader with a limit on the bytes of one read.

    `zipfile` reads the member list of an archive at once, whatever length it claims, and makes an
    object of a kilobyte for each entry of 46 bytes.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        limit = _MAX_LIST_BYTES + 1
        content = super().read(limit if size is None or size < 0 else min(size, limit))
        if len(content) == limit:
            raise UserError("it lists more than a file of arrays does; save it with numpy.savez.")
        return content


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    raw = open_plain(path).detach()
    with _LimitedReader(raw) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(f"{name}.npy")
    assert archive.fp is not None, "the archive is open"
    packed = min(info.compress_size, os.fstat(archive.fp.fileno()).st_size)
    advice = "save it with numpy.save, a .npy file is used without loading it"
    try:
        check_expansion(packed, info.file_size, advice)
    except UserError as error:
        raise UserError(f"array {name!r} is refused: {error}") from None
    with archive.open(info) as file:
        array: NDArray[Any] = npy_format.read_array(file, allow_pickle=False)
    return array


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().rstrip(".").splitlines()[0][:200] if str(error) else "damaged"
