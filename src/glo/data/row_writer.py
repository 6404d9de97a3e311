"""Rows written one by one, to a growing .npy file or to memory."""

from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import DTypeLike, NDArray

from glo.data.readers.npy import open_npy

__all__ = ["RowWriter"]


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
