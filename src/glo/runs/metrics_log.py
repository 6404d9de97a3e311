"""metrics.jsonl: one JSON object per logged step and per epoch, in order, without gaps."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, final

from glo.utils.files import read_bytes, write_text

__all__ = ["MetricsLog", "read_metrics_log"]

# Bytes of a file: ten million steps. And of one line, a hundred times what a record takes.
_LARGEST, _LONGEST = 64 * 2**20, 64 * 2**10


@final
class MetricsLog:
    """Append records to a file; lines a stopped run wrote after its last checkpoint are dropped.

    Args:
        path: the file.
        step: the step the run goes on from.
        quiet: nothing is written: another process does.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> MetricsLog(path, 0).write("step", {"step": 7, "loss": 0.5})
        >>> journal = MetricsLog(path, 5)
        >>> read_metrics_log(path)
        []
    """

    def __init__(self, path: Path, step: int, *, quiet: bool = False) -> None:
        self._path = path
        self._quiet = quiet
        if quiet:
            return
        kept = [record for record in read_metrics_log(path) if record["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_text(path, text)

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Append one record of a kind: step or epoch; numbers that are not finite become null."""
        if self._quiet:
            return
        values = {name: _plain(value) for name, value in values.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")


def _plain(value: Any) -> Any:
    # JSON has no NaN and no infinity.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metrics_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file, leaving out a line that a killed process cut short.

    Whatever is no record is left out too: a record is an object with the number of a step, whose
    other values are numbers, texts or null.

    Raises:
        UserError: the file holds more than 64 MiB.
    """
    records: list[dict[str, Any]] = []
    if path.is_file():
        for line in read_bytes(path, most=_LARGEST).splitlines():
            # One bad line must not cost those after it.
            with suppress(ValueError, RecursionError):
                record = json.loads(line[:_LONGEST].decode("utf-8", errors="replace"))
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
