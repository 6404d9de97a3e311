"""Record of how the training data of a run were read."""

from collections.abc import Sequence
from pathlib import Path

from glo.data import Dataset
from glo.data.reading import Reading
from glo.errors import UserError, listed
from glo.utils.json_toml import read_json, write_json

__all__ = ["READING_FILE", "describe_skipped", "notes_of", "read_reading", "write_reading"]

READING_FILE = "reading.json"
# Names of a hundred thousand columns.
_MAX_BYTES = 16 * 2**20


def write_reading(folder: Path, reading: Reading, notes: Sequence[str] = ()) -> None:
    """Write a reading to a run folder; only `notes` may have names of files and classes."""
    write_json(folder / READING_FILE, {"reading": reading.to_dict(), "notes": notes})


def notes_of(dataset: Dataset) -> tuple[str, ...]:
    """Return the notes of a dataset, and a sentence on what was left out, if anything was."""
    skipped = (describe_skipped(dataset.skipped),) if dataset.skipped else ()
    return (*dataset.notes, *skipped)


def read_reading(folder: Path) -> tuple[Reading, tuple[str, ...]]:
    """Return the reading and the notes of a run folder; UserError if they are damaged."""
    path = folder / READING_FILE
    try:
        values = read_json(path, max_bytes=_MAX_BYTES)
        notes = tuple(values["notes"])
        if not all(isinstance(note, str) for note in notes):
            raise TypeError("a note is no string")
        return Reading.from_dict(values["reading"]), notes
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); copy the run again.") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); copy the run again.") from None


def describe_skipped(skipped: Sequence[str]) -> str:
    """Count what was left out by reason, in one sentence.

    Args:
        skipped: `Dataset.skipped`, with at least one sentence.

    Example:
        >>> describe_skipped(["a.png: truncated", "c.png: empty", "b.png: truncated"])
        '3 were left out: 2 (a.png, b.png): truncated; c.png: empty.'
    """
    names: dict[str, list[str]] = {}
    for sentence in skipped:
        name, _, reason = sentence.partition(": ")
        names.setdefault(reason, []).append(name)
    kinds = sorted(names.items(), key=lambda kind: -len(kind[1]))
    parts = [
        f"{name[0]}: {reason}" if len(name) == 1 else f"{len(name):,} ({listed(name)}): {reason}"
        for reason, name in kinds
    ]
    were = "was" if len(skipped) == 1 else "were"
    kinds_text = listed(parts, comma="; ", rest="; and {} more kinds")
    return f"{len(skipped):,} {were} left out: {kinds_text}."
