"""Rows of a results table, one file each, for resumable studies.

A study that is stopped loses the row under way and no other: the same command makes what is
missing.
"""

import fcntl
import json
import platform
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from glo.utils.files import atomic_write, write_text

__all__ = ["Rows", "begin_study", "claimed", "markdown", "spread", "this_machine", "write_json"]


@final
class Rows:
    """Rows of one study in one folder.

    Args:
        folder: new, or begun by the same study.
        about: what the study is of. A folder that was begun with anything else is refused.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        begin_study(folder, about)

    def make(self, name: str, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return a row, from its file or from `work`; None if the work failed.

        Numbers go to `rows/NAME.json`, with CPU and wall seconds; arrays beside them, to NAME.npz.
        """
        path = self._path(name)
        if not path.is_file():
            print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                found = dict(work())
            # One method that fails must not cost the others.
            except Exception:
                traceback.print_exc()
                return None
            arrays = {k: found.pop(k) for k in list(found) if isinstance(found[k], np.ndarray)}
            if arrays:
                with atomic_write(self._npz(name)) as writing, writing.open("wb") as file:
                    np.savez_compressed(file, **arrays)
            spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
            write_json(path, {"name": name, **found, **spent})
        row: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return row

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays of a finished row."""
        with np.load(self._npz(name), allow_pickle=False) as kept:
            return dict(kept)

    def _path(self, name: str) -> Path:
        return self.folder / "rows" / f"{_plain(name)}.json"

    def _npz(self, name: str) -> Path:
        return self.folder / "rows" / f"{_plain(name)}.npz"


def begin_study(folder: Path, about: Mapping[str, Any]) -> None:
    """Record the study and the machine in a folder; refuse a folder of another study."""
    path = folder / "study.json"
    if not path.is_file():
        write_json(path, {**about, **this_machine()})
        return
    before = json.loads(path.read_text("utf-8"))
    changed = [name for name, value in about.items() if before.get(name) != value]
    if changed:
        raise SystemExit(f"{folder} was begun with another {', '.join(changed)}.")


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Return whether this process holds a lock file; the kernel releases it on a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    path.unlink(missing_ok=True)


def this_machine() -> dict[str, Any]:
    """Return the machine, the versions and the date of a measurement."""
    return {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def markdown(heads: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table.

    Example:
        >>> print(markdown(["way", "error"], [["mean", "1.00"]]), end="")
        | way | error |
        | --- | --- |
        | mean | 1.00 |
    """
    rows = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def spread(values: list[float], digits: int = 3) -> str:
    """Return mean and standard deviation over seeds, such as 0.412 ± 0.013."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def _plain(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z.]+", "-", name)
