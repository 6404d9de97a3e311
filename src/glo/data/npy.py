"""NumPy's .npy and .npz files, read without trusting them and written row by row.

A header is a claim. It is compared with the size of the file before any memory is taken, and
nothing is ever unpickled.
"""

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import DTypeLike, NDArray

from glo.errors import UserError, UserTypeError

__all__ = [
    "LARGEST_IN_MEMORY",
    "LARGEST_UNPACKED",
    "RowWriter",
    "check_memory",
    "npz_names",
    "open_npy",
    "read_npz",
]

LARGEST_UNPACKED = 4 * 2**30
"""Bytes that a compressed file may unpack to in memory; more must come as a plain file."""

LARGEST_IN_MEMORY = 2**30
"""Bytes of decoded data that are kept in memory; more goes to a folder."""

# What numpy and zipfile raise on files that are damaged or made to mislead.
_DAMAGE = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    RecursionError,
    OverflowError,
    RuntimeError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
)


def open_npy(path: Path) -> NDArray[Any]:
    """Map a .npy file into memory, read-only.

    Args:
        path: the file.

    Returns:
        the array, of any numeric dtype and shape; pages are read when they are touched.

    Raises:
        UserError: if the file cannot be read or is not as long as its header says.
        UserTypeError: if it holds Python objects or records.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.arange(6).reshape(2, 3))
        >>> open_npy(path).shape
        (2, 3)
    """
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _read_header(file)
            start = file.tell()
        size = path.stat().st_size
    except UserError as error:
        raise type(error)(f"{path} {error}") from None
    except _DAMAGE as error:
        raise UserError(f"{path} cannot be read as a .npy file ({_reason(error)}).") from error
    _check_length(str(path), shape, dtype, size - start)
    order: Any = "F" if fortran else "C"
    if math.prod(shape) == 0:
        raise UserError(f"{path} holds an empty array of shape {shape}; save at least one example.")
    mapped = np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
    return np.asarray(mapped)


def read_npz(
    path: Path, wanted: tuple[str, ...], *, or_only: bool = False
) -> tuple[str, NDArray[Any]] | None:
    """Read the first of the named arrays that a .npz file holds.

    Args:
        path: the file.
        wanted: names, the most welcome first.
        or_only: take the only array when the file holds just one, whatever its name.

    Returns:
        name and array, or None if there is none of these names.

    Raises:
        UserError: if the file is damaged, or the array unpacks to more than 4 GiB.
        UserTypeError: if the array holds Python objects or records.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(path, x=np.zeros((2, 3)), y=np.arange(2))
        >>> read_npz(path, ("labels", "y"))
        ('y', array([0, 1]))
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
            found = [name for name in wanted if name in names]
            if not found and or_only and len(names) == 1:
                found = names
            return (found[0], _read_member(archive, found[0])) if found else None
    except UserError as error:
        raise type(error)(f"{path}: {error}") from None
    except (*_DAMAGE, NotImplementedError) as error:
        raise UserError(
            f"{path} cannot be read as a .npz file ({_reason(error)}); save it again with"
            " numpy.savez."
        ) from error


def npz_names(path: Path) -> list[str]:
    """List the arrays of a .npz file that `read_npz` has opened before."""
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def check_memory(size: int) -> None:
    """Refuse to decode 1 GiB or more into memory for want of a cache folder.

    Raises:
        UserError: if `size`, in bytes, is that large.

    Example:
        >>> check_memory(1000)
    """
    if size >= LARGEST_IN_MEMORY:
        raise UserError(
            f"The decoded data take {size / 2**30:.1f} GiB and the cache folder cannot be written;"
            " set GLO_CACHE to a folder with that much room."
        )


@final
class RowWriter:
    """Collect rows, in a growing .npy file or, without a path, in memory.

    Rows are written, not stored through a memory map: on a full disk writing fails with an error
    that can be caught, while a map kills the process.

    Args:
        path: the file to write, or None.
        shape: of one row.
        dtype: of the rows.
        most: rows that may come; only memory is reserved by it.

    Example:
        >>> writer = RowWriter(None, (2,), np.uint8, most=5)
        >>> writer.append(np.ones((3, 2), np.uint8))
        >>> writer.finish().shape
        (3, 2)
    """

    def __init__(
        self, path: Path | None, shape: tuple[int, ...], dtype: DTypeLike, *, most: int
    ) -> None:
        self._path, self._shape, self._dtype = path, shape, np.dtype(dtype)
        self.count = 0
        if path is None:
            self._memory = np.empty((most, *shape), self._dtype)
        else:
            self._file = path.open("wb")
            self._write_header()

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows, (n, *shape) of the dtype."""
        assert rows.shape[1:] == self._shape
        assert rows.dtype == self._dtype
        end = self.count + len(rows)
        if self._path is None:
            self._memory[self.count : end] = rows
        else:
            self._file.write(np.ascontiguousarray(rows).data)
        self.count = end

    def finish(self) -> NDArray[Any]:
        """Return all rows, mapped from the file if there is one."""
        if self._path is None:
            return self._memory[: self.count]
        self._file.seek(0)
        self._write_header()
        self._file.close()
        return open_npy(self._path)

    def close(self) -> None:
        """Close the file, if there is one and it is open."""
        if self._path is not None:
            self._file.close()

    def _write_header(self) -> None:
        # NumPy pads the header so that a longer first axis does not change its length.
        facts = {
            "descr": npy_format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.count, *self._shape),
        }
        npy_format.write_array_header_1_0(self._file, facts)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = npy_format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = npy_format.read_array_header_2_0(file)
    else:
        raise UserTypeError("holds records; save one plain array of numbers.")
    if dtype.hasobject or dtype.names is not None:
        raise UserTypeError(
            "holds Python objects or records; save one plain array of numbers, such as"
            " numpy.save(path, array.astype('uint8'))."
        )
    return shape, fortran, dtype


def _check_length(what: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed != size:
        raise UserError(
            f"{what} claims an array of shape {shape}, {claimed} bytes, but holds {size} bytes;"
            " it is damaged or was cut off, so save it again."
        )


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(name + ".npy")
    if info.file_size > LARGEST_UNPACKED:
        raise UserError(
            f"array {name!r} unpacks to {info.file_size / 2**30:.1f} GiB, at most"
            f" {LARGEST_UNPACKED / 2**30:.0f} are allowed; save it with numpy.save, a .npy file is"
            " used without loading it."
        )
    with archive.open(info) as file:
        shape, _, dtype = _read_header(file)
        _check_length(f"array {name!r}", shape, dtype, info.file_size - file.tell())
    with archive.open(info) as file:
        array: NDArray[Any] = npy_format.read_array(file, allow_pickle=False)
    return array


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".").splitlines()[0][:200] if str(error) else "damaged"
