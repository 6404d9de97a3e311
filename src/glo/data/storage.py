"""Folders that appear whole or not at all, and the files of a saved store in them."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.data.readers.npy import open_npy
from glo.errors import UserError
from glo.utils.json_toml import read_json

__all__ = ["FACTS", "ROWS", "is_store", "new_folder", "read_store", "write_store"]

FACTS = "samples.json"
ROWS = "rows.npy"
_FORMAT = "glo-samples-1"
# Bytes of the facts: a sentence for each of a hundred thousand files that were left out.
_LARGEST_FACTS = 16 * 2**20


def is_store(folder: Path) -> bool:
    """Say whether a folder was written by `Dataset.save`."""
    return (folder / FACTS).is_file()


@contextmanager
def new_folder(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Give a temporary folder that takes its final name when the block ends well.

    Args:
        folder: the final name; its parents are made.
        replace: whether a store that has that name meanwhile makes way, or is kept and the new
            one dropped (two processes that made the same thing).

    Raises:
        UserError: if `folder` holds something that is not a store.
        OSError: if it cannot be written.
    """
    folder = folder.absolute()
    if replace and folder.exists() and not (is_store(folder) or _is_empty_folder(folder)):
        raise UserError(f"{folder} holds something else; give a new or empty folder.")
    mark = f"{os.getpid()}-{threading.get_ident()}"
    room = folder.with_name(f"{folder.name}.tmp-{mark}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    try:
        yield room
        if replace and folder.exists():
            _swap(room, folder, folder.with_name(f"{folder.name}.old-{mark}"))
        else:
            _take_name(room, folder)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def write_store(
    folder: Path,
    *,
    rows: NDArray[Any],
    labels: NDArray[np.int64] | None,
    missing: NDArray[np.bool_] | None,
    facts: dict[str, Any],
) -> None:
    """Write the files of a store; rows that a `RowWriter` has put there already are kept."""
    if not (folder / ROWS).exists():
        np.save(folder / ROWS, rows, allow_pickle=False)
    for name, array in (("labels.npy", labels), ("missing.npy", missing)):
        if array is not None:
            np.save(folder / name, array, allow_pickle=False)
    text = json.dumps({"format": _FORMAT, **facts}, indent=1)
    (folder / FACTS).write_text(text, encoding="utf-8")


def read_store(folder: Path) -> dict[str, Any]:
    """Read what `write_store` wrote, as the keywords of `Dataset`; rows stay on disk.

    Raises:
        UserError: if a file is missing, damaged or not of the expected kind.
    """
    facts = _read_facts(folder)
    rows = open_npy(folder / ROWS)
    labels = open_npy(folder / "labels.npy") if (folder / "labels.npy").exists() else None
    missing = open_npy(folder / "missing.npy") if (folder / "missing.npy").exists() else None
    return {
        "rows": rows,
        # Labels of another shape are refused, and need not be read for that.
        "labels": labels if labels is None or labels.shape != rows.shape[:1] else np.array(labels),
        "missing": missing,
        "name": facts["name"],
        "label_names": tuple(facts["label_names"]),
        "skipped": tuple(facts["skipped"]),
    }


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    try:
        facts = read_json(path, most=_LARGEST_FACTS)
    except (OSError, UserError) as error:
        raise UserError(f"{folder} is not a saved data set: {path.name} is unreadable.") from error
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise UserError(f"{path} is not of the format {_FORMAT}; save the data set again.")
    lists = [facts.get("label_names"), facts.get("skipped")]
    good = all(isinstance(x, list) and all(isinstance(s, str) for s in x) for x in lists)
    if not good or not isinstance(facts.get("name"), str):
        raise UserError(f"{path} is damaged; save the data set again.")
    return facts


def _is_empty_folder(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None


def _swap(room: Path, folder: Path, aside: Path) -> None:
    folder.rename(aside)
    room.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def _take_name(room: Path, folder: Path) -> None:
    try:
        room.rename(folder)
    except OSError:
        # Another process was first with the same store, which serves as well.
        if not is_store(folder):
            raise
