"""Atomic writes of files and folders, and size-limited reads of regular files."""

import glob
import hashlib
import os
import re
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import count, islice
from pathlib import Path

from glo.errors import UserError, suggest

__all__ = [
    "atomic_folder",
    "atomic_write",
    "clear_unfinished",
    "existing_path",
    "flush",
    "fresh_path",
    "open_plain",
    "parts_folder",
    "read_bytes",
    "read_text",
    "recover_folder",
    "replace_folder",
    "safe_name",
    "suggest_beside",
    "write_text",
]

_UNFINISHED = re.compile(r"\.(\d{1,9})\..+")
MAX_SUGGESTED_FROM = 1000
_SAFE = re.compile(r"[0-9a-z-]([0-9a-z.-]{0,58}[0-9a-z-])?")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose file is flushed and renamed to `path` at the end of the block.

    It lies in the folder of `path`, which is created, and has its suffix, which some writers need.
    An existing file is unchanged if the block or the writing fails.
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
    """Write a text file in UTF-8 atomically; its folder is created."""
    with atomic_write(path) as temporary:
        # Names of files may hold undecodable bytes, which must not stop a run from being written.
        temporary.write_text(text, encoding="utf-8", errors="replace")


def safe_name(text: str) -> str:
    """Return a part of a file name for any file system; different texts have different names.

    Texts other than up to 60 lower-case letters, digits, "." and "-" get a hash.

    Example:
        >>> safe_name("t-shirt"), safe_name("T-shirt/top")
        ('t-shirt', 'T-shirt_top-387761c43902')
    """
    if _SAFE.fullmatch(text):
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    readable = re.sub("[^0-9A-Za-z.-]+", "_", text)[:48].strip("._-")
    return f"{readable}-{digest}" if readable else digest


@contextmanager
def atomic_folder(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Yield a temporary folder that is flushed and renamed to `folder` at the end of the block.

    Args:
        folder: path of the new folder; its parents are created.
        replace: True replaces a folder of that name; False keeps one that another process or
            thread created meanwhile, and deletes the new one.
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
            return
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was first with the same content.
            if not folder.is_dir():
                raise
        flush(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, folder: Path, *, aside: Path | None = None) -> None:
    """Rename a folder to the name of another, which is moved to `aside` and deleted.

    No system replaces a folder in one step. After an interruption either call it again or, once
    `new` is gone, `recover_folder`.
    """
    aside = aside or folder.with_name(f".{folder.name}.old")
    recover_folder(folder, aside=aside)
    if folder.exists():
        folder.rename(aside)
    new.rename(folder)
    flush(folder.parent)
    recover_folder(folder, aside=aside)


def recover_folder(folder: Path, *, aside: Path | None = None) -> None:
    """Undo or complete an interrupted `replace_folder`; nothing else may write to it."""
    aside = aside or folder.with_name(f".{folder.name}.old")
    if aside.is_dir() and folder.exists():
        shutil.rmtree(aside)
    elif aside.is_dir():
        aside.rename(folder)


def clear_unfinished(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder."""
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
    """
    # Without O_NONBLOCK, which Windows lacks as it lacks such pipes, opening a pipe would block.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path} is not a plain file; put one in its place.")
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a regular file, whose size is checked before memory is allocated."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise UserError(
                f"{path} has {size:,} bytes, and at most {max_bytes:,} are read of such a file; "
                f"replace it."
            )
        return file.read(size)


def read_text(path: Path, *, max_bytes: int) -> str:
    """Return the UTF-8 text of a regular file, limited as by `read_bytes`."""
    content = read_bytes(path, max_bytes=max_bytes)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not text in UTF-8 ({error.reason}); convert it to UTF-8."
        ) from None


def fresh_path(path: Path) -> Path:
    """Return a path, or if it exists the first of NAME-2, NAME-3, ... that does not.

    A folder whose unfinished results lie in `parts_folder` is taken: they belong there.
    """
    names = (f"{path.stem}{f'-{number}' * (number > 1)}{path.suffix}" for number in count(1))
    candidates = (path.with_name(name) for name in names)
    return next(
        each
        for each in candidates
        if not each.exists() or (each.is_dir() and parts_folder(each).exists())
    )


def parts_folder(path: Path) -> Path:
    """Return the folder of unfinished results that are to be written to a path."""
    return path.with_name(f"{path.name}.parts")


def existing_path(name: str | Path, *words: str) -> Path:
    """Return the path of an existing file or folder, or raise UserError with the nearest name.

    `words` are further names that are suggested where `name` has no folder.
    """
    try:
        path = Path(name).expanduser()
        if path.exists():
            return path
        suggestion = suggest_beside(path, *(words if path.parent == Path() else ()))
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"'{name}' cannot be opened ({error}); give another path.") from error
    raise UserError(f"There is no file or folder '{name}'.{suggestion}")


def suggest_beside(path: Path, *words: str) -> str:
    """Return a closing question with the nearest name in the folder of a missing path, or "".

    `words` are further candidates in that folder.
    """
    names = (entry.name for entry in islice(path.parent.glob("*"), MAX_SUGGESTED_FROM))
    return suggest(path.name, [*words, *names], folder=path.parent)
