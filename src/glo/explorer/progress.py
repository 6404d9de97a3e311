"""How a run goes: the records of its training as they are written, and its pictures."""

import math
import os
import re
import threading
import time
from pathlib import Path
from typing import Any, final

from glo.explorer.training_examples import NotThere
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run

__all__ = ["TrainingLog", "picture_path", "pictures_of"]

# Steps beyond this number are thinned: a curve on a screen has no more points.
_MOST_STEPS = 2000
# Without a new record for so long, in seconds, nobody is training.
_SILENCE = 120.0
# The speed is that of so many records at the end.
_RECENT = 20

_NAME = re.compile(r"[\w-][\w.-]*\.png", re.ASCII)
_EPOCH = re.compile(r"epoch-(\d+)\.png", re.ASCII)


@final
class TrainingLog:
    """The records of a run, read again when the file has changed.

    Args:
        path: metrics.jsonl of the run; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._records: list[dict[str, Any]] = []

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records so far, in order."""
        with self._lock:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                records = read_metrics_log(self._path)
                self._records = [_finite(each) for each in records if _is_record(each)]
                self._stamp = stamp
            return self._records

    def after(self, count: int) -> tuple[list[dict[str, Any]], int]:
        """Return the records that follow the first `count`, and how many there are in all.

        A run that goes on from a checkpoint drops what came after it. Then all are new.
        """
        records = self.records
        new = records[count if count <= len(records) else 0 :]
        return _thinned(new), len(records)

    def seconds_left(self, run: Run) -> float | None:
        """Return how long training will go on, or None where nobody trains or it is not known."""
        records = self.records[-_RECENT:]
        stamp = self._stamp
        if stamp is None or len(records) < 2 or time.time() - stamp[1] / 1e9 > _SILENCE:
            return None
        n, settings = run.data.n, run.settings
        total = settings.steps_per_epoch(n) * settings.epochs_for(n)
        first, last = records[0], records[-1]
        steps, seconds = last["step"] - first["step"], last["elapsed"] - first["elapsed"]
        if steps <= 0 or seconds <= 0 or last["step"] >= total:
            return None
        return float((total - last["step"]) * seconds / steps)


def pictures_of(folder: Path) -> list[dict[str, Any]]:
    """Return the pictures in a run's samples/: their names, and the epochs they were made at.

    Example:
        >>> pictures_of(Path("no/such/run"))
        []
    """
    try:
        with os.scandir(folder / "samples") as entries:
            # No links: they could lead out of the run.
            files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
    names = sorted(name for name in files if _NAME.fullmatch(name))
    return [{"name": name, "epoch": _epoch(name)} for name in names]


def picture_path(folder: Path, name: str) -> Path:
    """Return the path of a picture of a run.

    Raises:
        NotThere: it is none of `pictures_of`.
    """
    for picture in pictures_of(folder):
        if picture["name"] == name:
            return folder / "samples" / str(picture["name"])
    raise NotThere("This run has no picture of that name.")


def _epoch(name: str) -> int | None:
    found = _EPOCH.fullmatch(name)
    return int(found[1]) if found else None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def _is_record(record: object) -> bool:
    # A file that was edited by hand must not stop the page.
    return isinstance(record, dict) and all(
        isinstance(record.get(name), int | float) for name in ("step", "elapsed")
    )


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    # A run that diverges has numbers that JSON has no words for.
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }


def _thinned(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    steps = [place for place, record in enumerate(records) if record.get("kind") == "step"]
    every = -(-len(steps) // _MOST_STEPS)
    if every <= 1:
        return records
    left_out = set(steps) - set(steps[::every])
    return [record for place, record in enumerate(records) if place not in left_out]
