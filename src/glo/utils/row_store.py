"""Where arrays with one row per example live: in memory, or in files when they are too large.

A file is mapped, so a step reads and writes its own rows and no others. What was touched stays in
memory until the system wants it back; to stay within a budget it is given back from time to time.
Nothing is lost by that: the file holds it.
"""

import mmap
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.utils.mmap import fetch, release_pages, scattered

__all__ = ["IN_MEMORY", "RowStore"]

# Rows lie scattered over a file, so touching one brings in a page around it.
_PAGE = mmap.PAGESIZE
# Of the budget, what may be touched before it is given back: the rest is for what reads in bulk.
_SHARE = 0.25


@final
class RowStore:
    """Make arrays of rows, in memory or in files of a folder.

    Args:
        folder: where the files go, which belong to this process alone; None: in memory.
        budget: bytes of mapped files that may be in memory at a time.

    Example:
        >>> import tempfile
        >>> store = RowStore(Path(tempfile.mkdtemp()) / "rows", budget=2**20)
        >>> codes = store.zeros("codes", (3, 2), torch.float32)
        >>> codes[1] = 1.0
        >>> store.relax()
        >>> codes
        tensor([[0., 0.],
                [1., 1.],
                [0., 0.]])
        >>> store.remove()
    """

    def __init__(self, folder: Path | None = None, *, budget: float = float("inf")) -> None:
        self.folder = folder
        self._budget = budget
        self._arrays: list[NDArray[Any]] = []
        self._per_row = 0
        self._touched = 0.0

    def zeros(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return an array of zeros, (n, ...); in a file an older one of that name is replaced.

        Raises:
            OSError: the file could not be made.
        """
        if self.folder is None:
            return torch.zeros(shape, dtype=dtype)
        self.folder.mkdir(parents=True, exist_ok=True)
        row = torch.zeros(shape[1:], dtype=dtype).numpy()
        size = shape[0] * row.nbytes
        path = self.folder / name
        # Not the old one's pages: who still maps that keeps it.
        path.unlink(missing_ok=True)
        with path.open("x+b") as file:
            # Taken now: a full disk would end the process at the first write to a mapped page.
            _reserve(file.fileno(), size)
            mapped = mmap.mmap(file.fileno(), size)
        array = np.frombuffer(mapped, row.dtype).reshape(shape)
        self._arrays.append(array)
        self._per_row += row.nbytes + _PAGE
        return torch.from_numpy(array)

    @property
    def mapped(self) -> bool:
        """Whether there are arrays that lie in files."""
        return bool(self._arrays)

    def fetch(self, rows: Tensor) -> None:
        """Ask for rows that are read soon, int64 (B,), without waiting for them."""
        for array in self._arrays:
            fetch(array, rows.numpy())

    def scattered(self) -> AbstractContextManager[None]:
        """While the block lasts, rows are read here and there, not in order."""
        return scattered(self._arrays)

    def touch(self, rows: int) -> None:
        """Count rows that were read or written, and give them back beyond the budget."""
        if not self._arrays:
            return
        self._touched += rows * self._per_row
        if self._touched > _SHARE * self._budget:
            self.relax()

    def relax(self) -> None:
        """Give back the memory of all files; their content is as it was."""
        self._touched = 0
        for array in self._arrays:
            release_pages(array)

    def remove(self) -> None:
        """Remove the files; arrays that are in use stay valid."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()


def _reserve(file: int, size: int) -> None:
    # Not on macOS, where the size alone is set.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


IN_MEMORY = RowStore()
