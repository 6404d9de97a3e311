"""Files that are written whole or not at all, and are on the disk when it is said that they are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["flush", "replacing", "write_text"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place to write to; what was written there takes the place of `path` at the end.

    It lies in the same folder, which is made, and ends as `path` does, as writers look at that.

    Raises:
        OSError: it could not be written; the file before is as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "made" / "table.csv"
        >>> with replacing(path) as writing:
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
    finally:
        writing.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; its folder is made.

    Raises:
        OSError: it could not be written; the file before is as it was.
    """
    with replacing(path) as writing:
        # A file's name may hold bytes that are no text; they must not stop a run from being
        # written.
        writing.write_text(text, encoding="utf-8", errors="replace")


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
