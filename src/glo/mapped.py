"""Memory of mapped files that is given back: the file holds what was there."""

import mmap
from typing import Any

from numpy.typing import NDArray

__all__ = ["give_back", "is_mapped"]


def give_back(array: NDArray[Any] | None) -> None:
    """Let the system have the memory of the file that an array is mapped from; others stay.

    What is read again comes from the system's cache, or from the disk.

    Example:
        >>> import numpy as np
        >>> give_back(np.zeros(3))
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


def _map_of(array: Any) -> mmap.mmap | None:
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array
