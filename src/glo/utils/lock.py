"""Lock that allows one writer per run folder."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import final

from filelock import FileLock, Timeout

from glo.errors import UserError
from glo.utils.files import read_text

__all__ = ["RunLock"]


@final
class RunLock:
    """Lock of a run folder, valid until `release` is called or the process ends, even if killed.

    Raises:
        UserError: another process holds it, or the file `lock` is a link or a folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "lock"
        # Any thread may release it.
        self._lock = FileLock(path, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(
                f"{folder} is in use by another process ({_holder(path)}); wait for it or give "
                f"--out another folder."
            ) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR):
                raise UserError(f"{path} is not a plain file; remove it, and try again.") from None
            raise
        # Windows denies writing to a locked file, and reading it.
        with suppress(PermissionError):
            path.write_text(str(os.getpid()), encoding="ascii")

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


def _holder(path: Path) -> str:
    try:
        return f"process {int(read_text(path, max_bytes=20))}"
    except (OSError, ValueError):
        return "its number is unknown"
