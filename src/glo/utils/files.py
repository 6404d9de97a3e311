"""Files that are written whole or not at all, and files of others, read with a limit."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path

from glo.errors import UserError, suggest

__all__ = [
    "atomic_write",
    "clear_unfinished",
    "flush",
    "open_plain",
    "read_bytes",
    "read_text",
    "suggest_beside",
    "write_text",
]

_UNFINISHED = re.compile(r"\.(\d{1,9})\..+")
_MOST_BESIDE = 1000


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a place to write to; what was written there takes the place of `path` at the end.

    It lies in the same folder, which is made, and ends as `path` does, as writers look at that.

    Raises:
        OSError: it could not be written; the file before is as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "made" / "table.csv"
        >>> with atomic_write(path) as writing:
        ...     _ = writing.write_text("1,2")
        ...     path.exists(), writing.suffix
        (False, '.csv')
        >>> path.read_text(), len(list(path.parent.iterdir()))
        ('1,2', 1)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield writing
        flush(writing)
        writing.replace(path)
        flush(path.parent)
    finally:
        writing.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; its folder is made.

    Raises:
        OSError: it could not be written; the file before is as it was.
    """
    with atomic_write(path) as writing:
        # A file's name may hold bytes that are no text; they must not stop a run from being
        # written.
        writing.write_text(text, encoding="utf-8", errors="replace")


def clear_unfinished(folder: Path) -> None:
    """Remove what killed processes were writing in a folder by `atomic_write`, and never named.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / ".999999999.table.csv").write_text("1,")
        >>> clear_unfinished(folder)
        >>> list(folder.iterdir())
        []
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        found = _UNFINISHED.fullmatch(path.name)
        if found and path.is_file() and not _writes_elsewhere(int(found[1])):
            path.unlink(missing_ok=True)


def _writes_elsewhere(process: int) -> bool:
    # A process that is started again where few are may have the number of the killed one.
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_plain(path: Path) -> BufferedReader:
    """Open a file to read it, if it is one: a pipe would wait for ever, a device have no end.

    A link is followed.

    Raises:
        UserError: it is a folder, a pipe, a socket or a device.
        OSError: it cannot be opened.

    Example:
        >>> open_plain(Path("/dev/null"))
        Traceback (most recent call last):
        glo.errors.UserError: /dev/null is not a plain file; put one in its place.
    """
    # Without this flag the opening of a pipe would wait for somebody who writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path} is not a plain file; put one in its place.")
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, *, most: int) -> bytes:
    """Return what a file holds.

    Args:
        path: a plain file.
        most: bytes that it may hold; no memory is taken for more.

    Raises:
        UserError: it is larger, or not a plain file.
        OSError: it cannot be read.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise UserError(
                f"{path} holds {size:,} bytes, and at most {most:,} are read of such a file; "
                f"replace it."
            )
        return file.read(size)


def read_text(path: Path, *, most: int) -> str:
    """Return the text in a file, as `read_bytes` does.

    Raises:
        UserError: it is larger than `most` bytes, not a plain file, or not text in UTF-8.
        OSError: it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> write_text(path, "ü")
        >>> read_text(path, most=2)
        'ü'
    """
    content = read_bytes(path, most=most)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error.reason}); write it anew.") from None


def suggest_beside(path: Path, *words: str) -> str:
    """Return a closing question that names what lies where nothing of this name is, or nothing.

    Args:
        path: what is not there.
        words: what else could have been meant in its folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "mnist").mkdir()
        >>> suggest_beside(folder / "mnsit") == f" Did you mean '{folder / 'mnist'}'?"
        True
    """
    beside = (entry.name for entry in islice(path.parent.glob("*"), _MOST_BESIDE))
    return suggest(path.name, [*words, *beside], folder=path.parent)
