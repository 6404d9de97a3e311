"""Metrics log: `metrics.jsonl` with one JSON object per logged step and per epoch, in order."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, final

from glo.training.callbacks import Callback
from glo.training.diagnosis import explained_variance
from glo.training.statistics import EpochRecord, StepRecord
from glo.utils.files import read_bytes, write_text

__all__ = ["MetricsLog", "read_metrics_log"]

# Bytes of a file, for ten million steps, and of a line, a hundred times a record.
MAX_FILE_BYTES, MAX_LINE_BYTES = 64 * 2**20, 64 * 2**10


@final
class MetricsLog(Callback):
    """Callback that appends a record per logged step and per epoch to `metrics.jsonl`.

    Records that a stopped run wrote after its last checkpoint are dropped on resume. Numbers that
    are not finite become null.

    Args:
        every: steps between logged steps.
    """

    def __init__(self, every: int = 50) -> None:
        self.every = every

    def on_train_begin(self, training: Any) -> None:
        """Drop records after the step of the checkpoint."""
        path, step = _path(training), training.steps_made
        records = [record for record in read_metrics_log(path) if record["step"] <= step]
        write_text(path, "".join(json.dumps(record) + "\n" for record in records))

    def on_step(self, training: Any, record: StepRecord) -> None:
        """Append a step."""
        if record.step % self.every == 0:
            _append(training, "step", record.to_dict())

    def on_epoch_end(self, training: Any, record: EpochRecord) -> None:
        """Append an epoch."""
        explained = explained_variance(record.mse, training.baselines)
        _append(training, "epoch", record.to_dict() | {"explained_variance": explained})


def _path(training: Any) -> Path:
    folder: Path = training.run.folder
    return folder / "metrics.jsonl"


def _append(training: Any, kind: str, values: dict[str, Any]) -> None:
    values |= {"elapsed": training.seconds}
    values = {name: _plain(value) for name, value in values.items()}
    with _path(training).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, **values}) + "\n")


def _plain(value: Any) -> Any:
    # JSON has no NaN and no infinity.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metrics_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a metrics log.

    A record is an object with a step number whose other values are numbers, strings or null. Other
    lines, such as one that a killed process cut short, are left out.

    Raises:
        UserError: the file holds more than 64 MiB.
    """
    records: list[dict[str, Any]] = []
    if path.is_file():
        for line in read_bytes(path, max_bytes=MAX_FILE_BYTES).splitlines():
            # One bad line must not cost those after it.
            with suppress(ValueError, RecursionError):
                record = json.loads(line[:MAX_LINE_BYTES].decode("utf-8", errors="replace"))
                if _is_record(record):
                    records.append(record)
    return records


def _is_record(record: object) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("step"), int | float)
        and all(value is None or _is_plain(value) for value in record.values())
    )


def _is_plain(value: object) -> bool:
    # Larger whole numbers are no floats, and may have too many digits to be shown.
    return isinstance(value, float | str) or (isinstance(value, int) and abs(value) < 2**63)
