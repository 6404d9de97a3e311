"""Progress of training: the metrics log as it grows, and the run's pictures."""

import math
import os
import re
import threading
import time
from pathlib import Path
from typing import Any, final

from glo.explorer.protocol import NotFound
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run

# More step records are thinned: a curve on a screen has no more points.
_MAX_STEPS = 2000
# Seconds without a new record after which training counts as stopped.
_MAX_SILENCE = 120.0
# Records at the end of the log that the speed is measured on.
_SPEED_RECORDS = 20

_PICTURE = re.compile(r"[\w-][\w.-]*\.png", re.ASCII)
_EPOCH = re.compile(r"epoch-(\d+)\.png", re.ASCII)


@final
class TrainingLog:
    """Records of the metrics log at `path`, read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._records: list[dict[str, Any]] = []

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records so far, in order."""
        with self._lock:
            version = file_version(self._path)
            if version != self._version:
                # Other lines of a hand-edited log are left out.
                self._records = [
                    record
                    for record in map(_finite, read_metrics_log(self._path))
                    if all(isinstance(record.get(key), int | float) for key in ("step", "elapsed"))
                ]
                self._version = version
            return self._records

    def after(self, count: int) -> tuple[list[dict[str, Any]], int]:
        """Return the records after the first `count`, and the number of all records.

        All are new where the log has become shorter: a run that continues from a checkpoint drops
        the records after it.
        """
        records = self.records
        new = records[count if count <= len(records) else 0 :]
        return _thinned(new), len(records)

    def seconds_left(self, run: Run) -> float | None:
        """Return the remaining time of training, or None where it is unknown or over."""
        records = self.records[-_SPEED_RECORDS:]
        version = self._version
        if version is None or len(records) < 2 or time.time() - version[1] / 1e9 > _MAX_SILENCE:
            return None
        n, settings = run.data.n, run.settings
        total = settings.steps_per_epoch(n) * settings.epochs_for(n)
        first, last = records[0], records[-1]
        steps, seconds = last["step"] - first["step"], last["elapsed"] - first["elapsed"]
        if steps <= 0 or seconds <= 0 or last["step"] >= total:
            return None
        return float((total - last["step"]) * seconds / steps)


def list_pictures(folder: Path) -> list[dict[str, Any]]:
    """Return name and epoch (or None) of the pictures in a run's samples folder."""
    try:
        with os.scandir(folder / "samples") as entries:
            # No links: they could lead out of the run.
            files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
    names = sorted(name for name in files if _PICTURE.fullmatch(name))
    epochs = [_EPOCH.fullmatch(name) for name in names]
    return [
        {"name": name, "epoch": int(epoch[1]) if epoch else None}
        for name, epoch in zip(names, epochs, strict=True)
    ]


def picture_path(folder: Path, name: str) -> Path:
    """Return the path of one of `list_pictures`, or raise NotFound."""
    if name not in {picture["name"] for picture in list_pictures(folder)}:
        raise NotFound("This run has no picture of that name.")
    return folder / "samples" / name


def file_version(path: Path) -> tuple[int, int, int] | None:
    """Return inode, modification time in ns, and size of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    # JSON has no NaN and no infinity, which a hand-edited log can hold.
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }


def _thinned(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    steps = [index for index, record in enumerate(records) if record.get("kind") == "step"]
    dropped = set(steps) - set(steps[:: max(1, -(-len(steps) // _MAX_STEPS))])
    return [record for index, record in enumerate(records) if index not in dropped]
