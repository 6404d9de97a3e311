"""NumPy's .npy files, read without trusting them.

A header is a claim. It is compared with the size of the file before any memory is taken, and
nothing is ever unpickled.
"""

import lzma
import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from glo.errors import UserError, UserTypeError
from glo.utils.files import open_plain

__all__ = ["DAMAGE", "check_length", "open_npy", "read_npy_header", "reason_of"]

# What numpy and zipfile raise on files that are damaged or made to mislead.
DAMAGE = (
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
    lzma.LZMAError,
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
        file = open_plain(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read as a .npy file ({error.strerror}).") from error
    try:
        with file:
            shape, fortran, dtype = read_npy_header(file)
            start = file.tell()
            size = os.fstat(file.fileno()).st_size - start
    except UserError as error:
        raise type(error)(f"{path} {error}") from None
    except DAMAGE as error:
        raise UserError(f"{path} cannot be read as a .npy file ({reason_of(error)}).") from error
    check_length(str(path), shape, dtype, size)
    if math.prod(shape) == 0:
        raise UserError(f"{path} holds an empty array of shape {shape}; save at least one example.")
    order: Any = "F" if fortran else "C"
    try:
        mapped = np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
    except DAMAGE as error:
        raise UserError(f"{path} cannot be mapped ({reason_of(error)}); save it again.") from error
    return np.asarray(mapped)


def read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, whether it is in Fortran's order, and dtype.

    Raises:
        UserTypeError: it holds Python objects or records.
        Exception: one of `DAMAGE`.
    """
    version = npy_format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = npy_format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = npy_format.read_array_header_2_0(file)
    else:
        raise UserTypeError("holds records; save one plain array of numbers.")
    if dtype.hasobject or dtype.names is not None or dtype.itemsize == 0:
        raise UserTypeError(
            "holds Python objects or records; save one plain array of numbers, such as"
            " numpy.save(path, array.astype('uint8'))."
        )
    return shape, fortran, dtype


def check_length(what: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    """Raise UserError unless an array of that shape takes `size` bytes."""
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed != size:
        # A length may have thousands of digits, more than Python shows.
        sizes = f"{shape}, {claimed} bytes" if 0 <= claimed < 2**63 else "beyond 64 bits"
        raise UserError(
            f"{what} claims an array of shape {sizes}, but holds {size} bytes;"
            " it is damaged or was cut off, so save it again."
        )


def reason_of(error: BaseException) -> str:
    """Return in a few words what an error says."""
    return str(error).strip().rstrip(".").splitlines()[0][:200] if str(error) else "damaged"
