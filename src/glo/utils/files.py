"""Atomic writes of files and folders, and size-limited reads of regular files."""

import glob
import os
import re
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path

from glo.errors import UserError, suggest

__all__ = [
    "atomic_folder",
    "atomic_write",
    "clear_unfinished",
    "flush",
    "open_plain",
    "read_bytes",
    "read_text",
    "recover_folder",
    "replace_folder",
    "suggest_beside",
    "write_text",
]

_UNFINISHED = re.compile(r"\.(\d{1,9})\..+")
MAX_SUGGESTED_FROM = 1000


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose file is flushed and renamed to `path` at the end of the block.

    It lies in the folder of `path`, which is created, and has its suffix, which some writers need.

    Raises:
        OSError: the file could not be written; an existing one is unchanged.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "new" / "table.csv"
        >>> with atomic_write(path) as temporary:
        ...     _ = temporary.write_text("1,2")
        ...     path.exists(), temporary.suffix
        (False, '.csv')
        >>> path.read_text(), len(list(path.parent.iterdir()))
        ('1,2', 1)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically; its folder is created.

    Raises:
        OSError: the file could not be written; an existing one is unchanged.
    """
    with atomic_write(path) as temporary:
        # Names of files may hold undecodable bytes, which must not stop a run from being written.
        temporary.write_text(text, encoding="utf-8", errors="replace")


@contextmanager
def atomic_folder(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Yield a temporary folder that is flushed and renamed to `folder` at the end of the block.

    Args:
        folder: path of the new folder; its parents are created.
        replace: True replaces a folder of that name; False keeps one that another process or
            thread created meanwhile, and deletes the new one.

    Raises:
        OSError: the folder could not be written; an existing one is unchanged.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "new"
        >>> for text in "ab":
        ...     with atomic_folder(folder, replace=True) as temporary:
        ...         _ = (temporary / "a.txt").write_text(text)
        >>> (folder / "a.txt").read_text(), len(list(folder.parent.iterdir()))
        ('b', 1)
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    for path in folder.parent.glob(f".*.*.{glob.escape(folder.name)}"):
        match = _UNFINISHED.fullmatch(path.name)
        if match and path.is_dir() and not _is_running(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)
    if replace:
        recover_folder(folder)
    temporary = folder.with_name(f".{os.getpid()}.{threading.get_ident()}.{folder.name}")
    temporary.mkdir()
    try:
        yield temporary
        for path in [*temporary.rglob("*"), temporary]:
            flush(path)
        if replace:
            replace_folder(temporary, folder)
        else:
            _rename_unless_present(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, folder: Path, *, aside: Path | None = None) -> None:
    """Rename a folder to the name of another, which is moved aside and deleted.

    No system replaces a folder in one step. After an interruption either call it again or, once
    `new` is gone, `recover_folder`.

    Args:
        new: path of the new folder, on the same disk.
        folder: path to rename it to.
        aside: path that the existing folder has in between; None: `.NAME.old` beside it.
    """
    aside = _aside(folder) if aside is None else aside
    recover_folder(folder, aside=aside)
    if folder.exists():
        folder.rename(aside)
    new.rename(folder)
    flush(folder.parent)
    recover_folder(folder, aside=aside)


def recover_folder(folder: Path, *, aside: Path | None = None) -> None:
    """Undo or complete an interrupted `replace_folder`.

    Args:
        folder: path that the folder should have; nothing else may write to it meanwhile.
        aside: as for `replace_folder`.
    """
    aside = _aside(folder) if aside is None else aside
    if aside.is_dir() and folder.exists():
        shutil.rmtree(aside)
    elif aside.is_dir():
        aside.rename(folder)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _rename_unless_present(new: Path, folder: Path) -> None:
    try:
        new.rename(folder)
    except OSError:
        # Another process was first with the same content.
        if not folder.is_dir():
            raise
    flush(folder.parent)


def clear_unfinished(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / ".999999999.table.csv").write_text("1,")
        >>> clear_unfinished(folder)
        >>> list(folder.iterdir())
        []
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _UNFINISHED.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        # After a restart of a container this process may have the number of the killed one.
        if int(match[1]) == os.getpid() or not _is_running(int(match[1])):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if sys.platform == "win32":
        # There signal 0 is Ctrl+C.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def flush(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file for reading; links are followed.

    A pipe would block for ever, and a device has no end.

    Raises:
        UserError: the path is a folder, a pipe, a socket or a device.
        OSError: it cannot be opened.

    Example:
        >>> open_plain(Path("/dev/null"))
        Traceback (most recent call last):
        glo.errors.UserError: /dev/null is not a plain file; put one in its place.
    """
    # Without O_NONBLOCK, which Windows lacks as it lacks such pipes, opening a pipe would block.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path} is not a plain file; put one in its place.")
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Args:
        path: path of the file.
        max_bytes: limit in bytes, checked before memory is allocated.

    Raises:
        UserError: the file is larger, or not a regular file.
        OSError: it cannot be read.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise UserError(
                f"{path} has {size:,} bytes, and at most {max_bytes:,} are read of such a file; "
                f"replace it."
            )
        return file.read(size)


def read_text(path: Path, *, max_bytes: int) -> str:
    """Return the text of a file, as `read_bytes` does.

    Raises:
        UserError: the file is larger than `max_bytes` bytes, not a regular file, or not UTF-8.
        OSError: it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> write_text(path, "ü")
        >>> read_text(path, max_bytes=2)
        'ü'
    """
    content = read_bytes(path, max_bytes=max_bytes)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error.reason}); write it anew.") from None


def suggest_beside(path: Path, *words: str) -> str:
    """Return a closing question with the nearest name in the folder of a missing path, or "".

    Args:
        path: missing path.
        words: further candidates in its folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "mnist").mkdir()
        >>> suggest_beside(folder / "mnsit") == f" Did you mean '{folder / 'mnist'}'?"
        True
    """
    names = (entry.name for entry in islice(path.parent.glob("*"), MAX_SUGGESTED_FROM))
    return suggest(path.name, [*words, *names], folder=path.parent)
