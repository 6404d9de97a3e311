"""Arrays with one row per example, in memory or in memory-mapped files, and advice to the kernel.

A step reads and writes the rows of its batch only. Accessed pages stay in memory until
`release_pages`, which loses nothing: the file holds their content.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "IN_MEMORY",
    "RowStore",
    "is_mapped",
    "prefetch_rows",
    "random_access",
    "release_pages",
]

# Bytes between two rows that are read along: another request to a disk takes about as long.
_GAP = 2**17
# Share of the budget that may be touched before it is released; bulk reads need the rest.
_SHARE = 0.25


@final
class RowStore:
    """Factory of arrays of rows, in memory or in files of a folder.

    Args:
        folder: path of the folder of files, used by this process only; None: in memory.
        budget: bytes of memory-mapped files that may be resident.
    """

    def __init__(self, folder: Path | None = None, *, budget: float = float("inf")) -> None:
        self.folder = folder
        self._budget = budget
        self._arrays: list[NDArray[Any]] = []
        self._per_row = 0
        self._touched = 0.0

    def zeros(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return an array of zeros, (n, ...); it replaces a file of that name."""
        if self.folder is None:
            return torch.zeros(shape, dtype=dtype)
        self.folder.mkdir(parents=True, exist_ok=True)
        row = torch.zeros(shape[1:], dtype=dtype).numpy()
        size = shape[0] * row.nbytes
        path = self.folder / name
        # A new file: arrays that map the old one keep it.
        path.unlink(missing_ok=True)
        with path.open("x+b") as file:
            # Allocated now: a full disk would kill the process at a write to a mapped page. macOS
            # and Windows can only set the size.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                os.ftruncate(file.fileno(), size)
            mapped = mmap.mmap(file.fileno(), size)
        array = np.frombuffer(mapped, row.dtype).reshape(shape)
        self._arrays.append(array)
        # Rows are accessed at random, so each brings in a page.
        self._per_row += row.nbytes + mmap.PAGESIZE
        return torch.from_numpy(array)

    @property
    def is_mapped(self) -> bool:
        """Whether some arrays are memory-mapped files."""
        return bool(self._arrays)

    def prefetch_rows(self, rows: Tensor) -> None:
        """Start reading rows, int64 (B,), of all files."""
        for array in self._arrays:
            prefetch_rows(array, rows.numpy())

    def random_access(self) -> AbstractContextManager[None]:
        """Disable readahead of all files during the block."""
        return random_access(self._arrays)

    def touch(self, rows: int) -> None:
        """Count rows that were accessed, and release memory beyond the budget."""
        self._touched += rows * self._per_row
        if self._touched > _SHARE * self._budget:
            self.release()

    def release(self) -> None:
        """Release the memory of all files."""
        self._touched = 0
        for array in self._arrays:
            release_pages(array)

    def remove(self) -> None:
        """Delete the files; arrays in use stay valid."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()


IN_MEMORY = RowStore()


def is_mapped(array: NDArray[Any]) -> bool:
    """Return whether an array is a memory-mapped file, or a view of one."""
    return _map_of(array) is not None


def release_pages(array: NDArray[Any] | None) -> None:
    """Release the memory of a memory-mapped array (MADV_DONTNEED); others are unchanged."""
    _advise(_map_of(array), "MADV_DONTNEED")


def prefetch_rows(array: NDArray[Any] | None, rows: NDArray[np.int64]) -> None:
    """Start reading rows of a memory-mapped array together, without waiting (MADV_WILLNEED).

    Each row, (N, ...), is contiguous; row numbers, int64 (B,), out of range are ignored.
    """
    mapped = _map_of(array)
    if array is None or mapped is None:
        return
    rows = np.sort(rows[(rows >= 0) & (rows < len(array))])
    if len(rows) == 0:
        return
    begin = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    starts = begin + rows * array.strides[0]
    for first, last in _page_runs(starts, starts + array[:1].nbytes):
        _advise(mapped, "MADV_WILLNEED", first, min(last, len(mapped)) - first)


@contextmanager
def random_access(arrays: Iterable[NDArray[Any] | None]) -> Iterator[None]:
    """Disable readahead, megabytes around each row, of arrays in the block (MADV_RANDOM)."""
    maps = [_map_of(array) for array in arrays]
    try:
        for mapped in maps:
            _advise(mapped, "MADV_RANDOM")
        yield
    finally:
        for mapped in maps:
            _advise(mapped, "MADV_NORMAL")


def _advise(mapped: mmap.mmap | None, advice: str, *part: int) -> None:
    # Windows has no such advice.
    if mapped is not None and hasattr(mmap, advice):
        mapped.madvise(getattr(mmap, advice), *part)


def _page_runs(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return begins and ends of whole pages that hold all bytes; near ones are joined."""
    starts, ends = starts // mmap.PAGESIZE, -(-ends // mmap.PAGESIZE)
    cuts = np.flatnonzero(starts[1:] - ends[:-1] > _GAP // mmap.PAGESIZE)
    firsts = starts[np.concatenate([[0], cuts + 1])] * mmap.PAGESIZE
    lasts = ends[np.concatenate([cuts, [len(ends) - 1]])] * mmap.PAGESIZE
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _map_of(array: Any) -> mmap.mmap | None:
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array
