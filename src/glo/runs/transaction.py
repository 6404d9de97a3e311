"""A new state of a run folder that takes the place of the old one, whole or not at all.

It is laid out beside the old one, in a folder of the run that nobody reads. One rename decides:
before it the run is as it was, after it the change is made, and whoever opens the run next carries
it to its end if its own process was cut off.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from glo.errors import UserError
from glo.utils.files import flush
from glo.utils.json_toml import read_json
from glo.utils.lock import RunLock

__all__ = ["commit", "finish_change", "staged"]

_WRITING, _DECIDED = ".change-writing", ".change"
_NEW, _OLD, _GONE = "new", "old", "gone.json"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a folder for what is new, and take it away unless `commit` was called.

    What lies in it is named as in the run: a file takes the place of the file of that name, a
    folder that of the whole folder.

    Args:
        folder: of the run, locked by the caller.

    Example:
        >>> import tempfile
        >>> run = Path(tempfile.mkdtemp())
        >>> _ = (run / "old.json").write_text("1")
        >>> with staged(run) as new:
        ...     _ = (new / "new.json").write_text("2")
        ...     commit(run, gone=["old.json"])
        >>> [path.name for path in run.iterdir()]
        ['new.json']
    """
    writing = folder / _WRITING
    # What a killed process left may hold rows that are to be forgotten now.
    _clear(writing)
    (writing / _NEW).mkdir(parents=True)
    try:
        yield writing / _NEW
    finally:
        _clear(writing)


def commit(folder: Path, *, gone: Sequence[str] = ()) -> None:
    """Let what was staged take its place.

    Args:
        folder: of the run, locked by the caller.
        gone: names of files in it that are removed.

    Raises:
        OSError: it could not be written; before the rename the run is as it was.
    """
    writing = folder / _WRITING
    (writing / _GONE).write_text(json.dumps(list(gone)), encoding="utf-8")
    for path in sorted(writing.rglob("*")):
        flush(path)
    flush(writing)
    writing.rename(folder / _DECIDED)
    flush(folder)
    _carry_out(folder)


def finish_change(folder: Path) -> None:
    """Carry out a change that was decided and cut off; nothing is done where there is none.

    Raises:
        UserError: another process is at it, or it reaches out of the folder.
    """
    if not (folder / _DECIDED).is_dir():
        return
    _check_inside(folder / _DECIDED)
    lock = RunLock(folder)
    try:
        _carry_out(folder)
    finally:
        lock.release()


def _carry_out(folder: Path) -> None:
    # Each step can be done again: this may be cut off anywhere and begun anew.
    decided = folder / _DECIDED
    new, old, gone = decided / _NEW, decided / _OLD, decided / _GONE
    if not decided.is_dir():
        return
    old.mkdir(exist_ok=True)
    for entry in sorted(new.iterdir()) if new.is_dir() else ():
        place = folder / entry.name
        if place.is_dir():
            place.rename(old / entry.name)
        entry.replace(place)
    for name in _names(gone):
        (folder / name).unlink(missing_ok=True)
    flush(folder)
    _clear(decided)


def _check_inside(decided: Path) -> None:
    """Check that carrying out a change moves and removes nothing but what is in the run folder.

    A run may come from a stranger, and opening one carries out the change that lies in it.
    """
    for place in (decided, decided / _NEW, decided / _OLD):
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise UserError(f"{place} is not a folder of the run; remove {decided}, and try again.")
    _names(decided / _GONE)


def _names(gone: Path) -> list[str]:
    """Return the names of the files that go; none of them leads out of the folder."""
    if not gone.is_file():
        return []
    names = read_json(gone)
    if not isinstance(names, list) or not all(_is_plain(name) for name in names):
        raise UserError(f"{gone} names what is no file of the run; remove {gone.parent}.")
    return names


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {os.sep, "\0"}


def _clear(folder: Path) -> None:
    # Not in silence: what was to be removed must be gone.
    if folder.is_dir():
        shutil.rmtree(folder)
