"""Habits of this machine's C library that cost a training run time."""

import ctypes
import sys

__all__ = ["tune_malloc"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def tune_malloc() -> None:
    """Have the C library keep freed blocks for the next step instead of giving them back.

    A decoder's step frees and asks again for the same tens of megabytes; glibc returns such blocks
    to the kernel, which must then zero every page anew. On small machines that was up to half of
    the processor's time. Elsewhere than on glibc nothing is done.

    Example:
        >>> tune_malloc()
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
