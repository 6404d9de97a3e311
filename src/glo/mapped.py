"""Memory of mapped files that is given back: the file holds what was there."""

import mmap
from typing import Any

from numpy.typing import NDArray

__all__ = ["give_back"]


def give_back(array: NDArray[Any] | None) -> None:
    """Let the system have the memory of the file that an array is mapped from; others stay.

    What is read again comes from the system's cache, or from the disk.

    Example:
        >>> import numpy as np
        >>> give_back(np.zeros(3))
    """
    mapped: Any = array
    while mapped is not None and not isinstance(mapped, mmap.mmap):
        mapped = mapped.obj if isinstance(mapped, memoryview) else getattr(mapped, "base", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)
