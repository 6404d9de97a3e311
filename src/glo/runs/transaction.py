"""Transactions on a run folder: several files and folders replaced together, or none.

The new files are written to a hidden folder inside the run. One rename commits them: before it the
run is unchanged; after it the change is completed, by the next process that opens the run if this
one was killed.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from glo.errors import UserError
from glo.utils.files import flush, replace_folder
from glo.utils.json_toml import read_json
from glo.utils.lock import RunLock

__all__ = ["commit", "finish_change", "staged"]

_WRITING, _COMMITTED = ".change-writing", ".change"
_NEW, _OLD, _GONE = "new", "old", "gone.json"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder for new files, and delete it at the end unless `commit` was called.

    A file in it replaces the file of that name in the run, a folder the whole folder. The caller
    has locked the run.
    """
    writing = folder / _WRITING
    # The files of a killed process may contain rows that are to be removed.
    _clear(writing)
    (writing / _NEW).mkdir(parents=True)
    try:
        yield writing / _NEW
    finally:
        _clear(writing)


def commit(folder: Path, *, gone: Sequence[str] = ()) -> None:
    """Replace files of the run by the staged ones, and delete the files `gone`.

    After an OSError before the rename the run is unchanged.
    """
    writing = folder / _WRITING
    (writing / _GONE).write_text(json.dumps(list(gone)), encoding="utf-8")
    for path in [*sorted(writing.rglob("*")), writing]:
        flush(path)
    writing.rename(folder / _COMMITTED)
    flush(folder)
    _carry_out(folder)


def finish_change(folder: Path) -> None:
    """Complete a committed change whose process was killed, if there is one."""
    if not (folder / _COMMITTED).is_dir():
        return
    _check_inside(folder / _COMMITTED)
    lock = RunLock(folder)
    try:
        _carry_out(folder)
    finally:
        lock.release()


def _carry_out(folder: Path) -> None:
    # Each step can be repeated: this may be interrupted anywhere and started again.
    committed = folder / _COMMITTED
    new, old = committed / _NEW, committed / _OLD
    if not committed.is_dir():
        return
    old.mkdir(exist_ok=True)
    for entry in sorted(new.iterdir()) if new.is_dir() else ():
        if entry.is_dir():
            replace_folder(entry, folder / entry.name, aside=old / entry.name)
        else:
            entry.replace(folder / entry.name)
    for name in _gone_names(committed / _GONE):
        (folder / name).unlink(missing_ok=True)
    flush(folder)
    _clear(committed)


def _check_inside(committed: Path) -> None:
    """Check that a change moves and deletes files of the run folder only.

    Opening a run of a stranger completes the change that lies in it.
    """
    for path in (committed, committed / _NEW, committed / _OLD):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise UserError(f"{path} is not a folder of the run; remove {committed}, and retry.")
    _gone_names(committed / _GONE)


def _gone_names(path: Path) -> list[str]:
    """Return the names of the files to delete, after a check that all lie in the run folder."""
    if not path.is_file():
        return []
    names = read_json(path)
    if not isinstance(names, list) or not all(_is_plain(name) for name in names):
        raise UserError(
            f"{path} has a name that is not of a file of the run; remove {path.parent}."
        )
    return names


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {os.sep, "\0"}


def _clear(folder: Path) -> None:
    # Errors are raised: rows that are to be removed must be gone.
    if folder.is_dir():
        shutil.rmtree(folder)
