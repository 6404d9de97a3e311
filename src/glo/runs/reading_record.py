"""Record of how the training data of a run were read."""

from pathlib import Path

from glo.data import Dataset
from glo.data.reading import Reading
from glo.errors import UserError
from glo.utils.json_toml import read_json, write_json

__all__ = ["READING_FILE", "read_reading", "write_reading"]

READING_FILE = "reading.json"
# Names of a hundred thousand columns.
_MAX_BYTES = 16 * 2**20


def write_reading(folder: Path, dataset: Dataset) -> None:
    """Write the reading and the notes of a dataset to a run folder."""
    values = {"reading": dataset.reading.to_dict(), "notes": dataset.notes}
    write_json(folder / READING_FILE, values)


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
