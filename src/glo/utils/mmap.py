"""Arrays that lie in a file: what is read soon is asked for, what was read is given back."""

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fetch", "is_mapped", "release_pages", "scattered"]

# Bytes between two rows that are read along rather than left out: a disk that has to be asked
# once more takes about as long.
_GAP = 2**17


def release_pages(array: NDArray[Any] | None) -> None:
    """Let the system have the memory of the file that an array is mapped from; others stay.

    Nothing is lost: the file holds what was there. What is read again comes from the system's
    cache, or from the disk.

    Example:
        >>> import numpy as np
        >>> release_pages(np.zeros(3))
    """
    mapped = _map_of(array)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def is_mapped(array: NDArray[Any]) -> bool:
    """Tell whether an array lies in a file.

    Example:
        >>> import numpy as np
        >>> is_mapped(np.zeros(3))
        False
    """
    return _map_of(array) is not None


def fetch(array: NDArray[Any] | None, rows: NDArray[np.int64]) -> None:
    """Ask for rows that are read soon, all at once and without waiting for them.

    Read one by one, each that is not in memory costs the time of a question to the disk.

    Args:
        array: (N, ...), each row in one piece.
        rows: int64 (B,), numbers of rows.

    Example:
        >>> import numpy as np
        >>> fetch(np.zeros(3), np.array([2]))
    """
    mapped = _map_of(array)
    if array is None or mapped is None:
        return
    # Whoever reads what is not there is told so where it is read.
    rows = np.sort(rows[(rows >= 0) & (rows < len(array))])
    if len(rows) == 0:
        return
    begin = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    starts = begin + rows * array.strides[0]
    for first, last in _stretches(starts, starts + array[:1].nbytes):
        mapped.madvise(mmap.MADV_WILLNEED, first, min(last, len(mapped)) - first)


@contextmanager
def scattered(arrays: Iterable[NDArray[Any] | None]) -> Iterator[None]:
    """While the block lasts, let a row that is read bring in its own page and no others.

    A system that expects reading in order brings in megabytes around each row.
    """
    maps = [mapped for each in arrays if (mapped := _map_of(each)) is not None]
    try:
        for mapped in maps:
            mapped.madvise(mmap.MADV_RANDOM)
        yield
    finally:
        for mapped in maps:
            mapped.madvise(mmap.MADV_NORMAL)


def _stretches(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return where whole pages begin and end that hold all of the bytes, joined where near."""
    starts, ends = starts // mmap.PAGESIZE, -(-ends // mmap.PAGESIZE)
    cuts = np.flatnonzero(starts[1:] - ends[:-1] > _GAP // mmap.PAGESIZE)
    firsts = starts[np.concatenate([[0], cuts + 1])] * mmap.PAGESIZE
    lasts = ends[np.concatenate([cuts, [len(ends) - 1]])] * mmap.PAGESIZE
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _map_of(array: Any) -> mmap.mmap | None:
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array
