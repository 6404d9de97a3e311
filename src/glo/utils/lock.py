"""One writer per run folder."""

import errno
import fcntl
import os
from pathlib import Path
from typing import BinaryIO, final

from glo.errors import UserError

__all__ = ["RunLock"]


@final
class RunLock:
    """Hold a run folder against other processes until released or until this process ends.

    The kernel holds the lock, so a killed process never leaves it behind.

    Raises:
        UserError: another process holds it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> lock = RunLock(folder)
        >>> RunLock(folder)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        glo.errors.UserError: ... is being trained by another process; wait for it or give ...
        >>> lock.release()
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = _opened(folder / "lock")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(
                f"{folder} is being trained by another process; wait for it or give --out another "
                f"folder."
            ) from None

    def release(self) -> None:
        """Let others write."""
        self._file.close()


def _opened(path: Path) -> BinaryIO:
    try:
        # A link could make a file elsewhere, and a pipe would wait for ever.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.fdopen(os.open(path, flags, 0o666), "ab", buffering=0)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise UserError(f"{path} is not a plain file; remove it, and try again.") from None
        raise
