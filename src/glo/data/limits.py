"""How much may be unpacked, and where to."""

import shutil
from pathlib import Path

from glo.errors import UserError

__all__ = [
    "LARGEST_IN_MEMORY",
    "LARGEST_UNPACKED",
    "check_memory",
    "check_room",
    "check_times",
    "check_unpacking",
]

LARGEST_UNPACKED = 4 * 2**30
"""Bytes that a compressed file may unpack to in memory; more must come as a plain file."""

LARGEST_IN_MEMORY = 2**30
"""Bytes of decoded data that are kept in memory; more goes to a folder."""

# What unpacks to more than this must not unpack to more than so many times its length: real data
# do not, and a file of zeros can be a thousand or seven thousand times as long.
_MUCH, _MOST_TIMES = 2**28, 200


def check_memory(size: int) -> None:
    """Refuse to decode 1 GiB or more into memory for want of a cache folder.

    Raises:
        UserError: if `size`, in bytes, is that large.

    Example:
        >>> check_memory(1000)
    """
    if size >= LARGEST_IN_MEMORY:
        raise UserError(
            f"The decoded data take {size / 2**30:.1f} GiB and the cache folder cannot be written;"
            " set GLO_CACHE to a folder with that much room."
        )


def check_room(folder: Path, size: int) -> None:
    """Refuse to decode more than the disk of a folder has room for, before it is full.

    Raises:
        UserError: if `size`, in bytes, is more.

    Example:
        >>> check_room(Path("."), 0)
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"The decoded data take {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free "
            f"below {folder.parent}; give --size or --limit, or set GLO_CACHE to another folder."
        )


def check_unpacking(packed: int, unpacked: int, advice: str) -> None:
    """Refuse a compressed file that claims to unpack to more than real data would.

    Args:
        packed: its length in bytes.
        unpacked: what it claims.
        advice: the end of the sentence.

    Raises:
        UserError: it claims more than 4 GiB; or more than 256 MiB and 200 times its length.

    Example:
        >>> check_unpacking(10**6, 10**9, "unpack it first")
        Traceback (most recent call last):
        glo.errors.UserError: it unpacks to 953.7 MiB, 1000 times its length; unpack it first.
    """
    if unpacked > LARGEST_UNPACKED:
        raise UserError(
            f"it unpacks to {unpacked / 2**30:.1f} GiB, at most {LARGEST_UNPACKED / 2**30:.0f} are "
            f"allowed; {advice}."
        )
    check_times(packed, unpacked, advice)


def check_times(packed: int, unpacked: int, advice: str) -> None:
    """Refuse more than 256 MiB out of a file that are more than 200 times its length.

    Raises:
        UserError: it is more; the arguments are those of `check_unpacking`.

    Example:
        >>> check_times(1, 10**6, "unpack it first")
    """
    if unpacked > max(_MUCH, _MOST_TIMES * packed):
        times = unpacked / max(packed, 1)
        raise UserError(
            f"it unpacks to {unpacked / 2**20:.1f} MiB, {times:.0f} times its length; {advice}."
        )
