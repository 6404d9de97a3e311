"""Settings of the C library's allocator; apart from `device`, whose import of torch is slow."""

import ctypes
import sys

__all__ = ["tune_malloc"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def tune_malloc() -> None:
    """Make glibc keep freed blocks for the next step instead of returning them to the kernel.

    A decoder's step frees and requests the same tens of megabytes again, and the kernel must zero
    every returned page anew: on small machines up to half of the processor's time. Without effect
    outside of glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
