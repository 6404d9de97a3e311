"""Row numbers, rows in pieces that fit memory, and what tells one set of rows from another."""

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserTypeError

__all__ = ["as_numpy", "as_slice", "chunks", "fingerprint_of"]

_CHUNK_BYTES = 2**24
_FINGERPRINT_BYTES = 2**26
_FINGERPRINT_ROWS = 2**14


def as_numpy(index: NDArray[np.int64] | Tensor) -> NDArray[np.int64]:
    """Return row numbers as int64 (B,).

    Raises:
        UserTypeError: if they are not whole numbers in one dimension.

    Example:
        >>> as_numpy(np.array([2, 0], np.uint8))
        array([2, 0])
    """
    array = index.detach().cpu().numpy() if isinstance(index, Tensor) else np.asarray(index)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise UserTypeError(
            f"The row index has shape {array.shape} and dtype {array.dtype}; give whole numbers of"
            " shape (B,)."
        )
    return array.astype(np.int64, copy=False)


def as_slice(index: NDArray[np.int64], n: int) -> slice | NDArray[np.int64]:
    """Return evenly spaced, rising numbers of `n` rows as a slice, any others as they are.

    Example:
        >>> as_slice(np.array([1, 3, 5]), 6)
        slice(1, 6, 2)
    """
    # A slice would cut off numbers that are out of range, which should be an IndexError.
    if len(index) < 2 or index[0] < 0 or index[-1] >= n:
        return index
    step = int(index[1] - index[0])
    if step < 1 or (np.diff(index) != step).any():
        return index
    return slice(int(index[0]), int(index[-1]) + 1, step)


def _row_bytes(rows: NDArray[Any]) -> int:
    return max(1, math.prod(rows.shape[1:]) * rows.itemsize)


def _telling_rows(rows: NDArray[Any]) -> NDArray[np.int64]:
    if rows.nbytes < _FINGERPRINT_BYTES:
        return np.arange(len(rows))
    count = max(2, min(_FINGERPRINT_ROWS, _FINGERPRINT_BYTES // _row_bytes(rows), len(rows)))
    return np.linspace(0, len(rows) - 1, count).astype(np.int64)


def chunks(index: NDArray[np.int64], rows: NDArray[Any]) -> list[slice | NDArray[np.int64]]:
    """Cut row numbers into pieces of at most 16 MiB of rows.

    Example:
        >>> chunks(np.arange(10), np.zeros((10, 2**22), np.uint8))
        [slice(0, 4, 1), slice(4, 8, 1), slice(8, 10, 1)]
    """
    step = max(1, _CHUNK_BYTES // _row_bytes(rows))
    return [as_slice(index[i : i + step], len(rows)) for i in range(0, len(index), step)]


def fingerprint_of(rows: NDArray[Any], missing: NDArray[np.bool_] | None) -> str:
    """Hash shape, dtype and content; of 64 MiB or more, that of a fixed, even choice of rows.

    Returns:
        16 hex characters.

    Example:
        >>> fingerprint_of(np.zeros((2, 3), np.uint8), None)
        '88b23ade2665c72a'
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{rows.shape} {rows.dtype.name}".encode())
    for array in (rows,) if missing is None else (rows, missing):
        digest.update(b"|")
        for chunk in chunks(_telling_rows(rows), rows):
            digest.update(np.ascontiguousarray(array[chunk]).data)
    return digest.hexdigest()
