"""Files of a saved dataset, and the writer of rows that come one after the other."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import DTypeLike, NDArray

from glo.data.readers.npy import open_npy
from glo.data.reading import Reading
from glo.errors import UserError
from glo.utils.files import read_text, write_text
from glo.utils.json_toml import read_json
from glo.utils.row_store import release_pages

__all__ = [
    "IDS_FILE",
    "MAX_MEMORY_BYTES",
    "ROWS_FILE",
    "RowWriter",
    "check_space",
    "concatenate_rows",
    "is_dataset_folder",
    "join_ids",
    "read_dataset_files",
    "read_ids",
    "to_ids",
    "write_dataset_files",
    "write_ids",
]

MAX_MEMORY_BYTES = 2**30
"""Bytes of decoded data that are kept in memory; more is written to a folder."""

_METADATA = "samples.json"
ROWS_FILE = "rows.npy"
IDS_FILE = "ids.json"
_FORMAT = "glo-samples-1"
_LISTS = ("label_names", "skipped", "notes")
# A sentence for each of a hundred thousand files that were left out.
_MAX_METADATA_BYTES = 16 * 2**20
_MAX_IDS_BYTES = 2**30


def is_dataset_folder(folder: Path) -> bool:
    """Return whether a folder was written by `Dataset.save`."""
    return (folder / _METADATA).is_file()


def write_dataset_files(
    folder: Path,
    *,
    arrays: Mapping[str, NDArray[Any] | None],
    ids: NDArray[Any] | None,
    metadata: Mapping[str, Any],
) -> None:
    """Write the files of a dataset; rows that a `RowWriter` wrote there are kept."""
    for stem, array in arrays.items():
        if array is not None and not (folder / f"{stem}.npy").exists():
            np.save(folder / f"{stem}.npy", array, allow_pickle=False)
    if ids is not None:
        write_ids(folder / IDS_FILE, ids)
    text = json.dumps({"format": _FORMAT, **metadata}, indent=1)
    (folder / _METADATA).write_text(text, encoding="utf-8")


def read_dataset_files(folder: Path) -> dict[str, Any]:
    """Read the files of `write_dataset_files` as the keywords of `Dataset`; rows stay on disk."""
    path = folder / _METADATA
    try:
        metadata = read_json(path, max_bytes=_MAX_METADATA_BYTES)
    except (OSError, UserError) as error:
        raise UserError(f"{folder} is not a saved dataset: {path.name} is unreadable.") from error
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise UserError(f"{path} is not of the format {_FORMAT}; save the dataset again.")
    lists = [*(metadata.get(name) for name in _LISTS), [metadata.get("name")]]
    if not all(isinstance(x, list) and all(isinstance(s, str) for s in x) for x in lists):
        raise UserError(f"{path} is damaged; save the dataset again.")
    try:
        reading = Reading.from_dict(metadata["reading"])
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged; save the dataset again.") from None
    stems = ["rows", *(s for s in ("labels", "missing") if (folder / f"{s}.npy").exists())]
    arrays = {stem: open_npy(folder / f"{stem}.npy") for stem in stems}
    if "labels" in arrays and arrays["labels"].shape == arrays["rows"].shape[:1]:
        arrays["labels"] = np.array(arrays["labels"])
    return {
        **arrays,
        "name": metadata["name"],
        "reading": reading,
        "ids": read_ids(folder / IDS_FILE) if (folder / IDS_FILE).exists() else None,
        **{name: tuple(metadata[name]) for name in _LISTS},
    }


def write_ids(path: Path, ids: NDArray[Any]) -> None:
    """Write the identities of rows, (N,), as a JSON list of integers and strings."""
    write_text(path, json.dumps(ids.tolist(), indent=0, ensure_ascii=False) + "\n")


def read_ids(path: Path) -> NDArray[Any]:
    """Read the identities of rows: int64, or objects where there are strings, (N,).

    Raises:
        UserError: the file cannot be read, or is no list of integers and strings.
    """
    try:
        values = json.loads(read_text(path, max_bytes=_MAX_IDS_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read; make it again.") from error
    if not isinstance(values, list) or not all(type(value) in (int, str) for value in values):
        raise UserError(f"{path} is damaged; make it again.")
    return to_ids(values)


def to_ids(values: Sequence[int | str]) -> NDArray[Any]:
    """Return identities of rows as an array: int64, or objects where there are strings."""
    if all(type(value) is int for value in values):
        return np.array(values, np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def concatenate_rows(files: Sequence[Path], folder: Path) -> None:
    """Write the rows of files of a `RowWriter` to one in `folder`, and delete these files."""
    parts = [open_npy(path) for path in files]
    shape, dtype = parts[0].shape[1:], parts[0].dtype
    with RowWriter(folder, shape, dtype, max_rows=sum(map(len, parts))) as writer:
        for part in parts:
            writer.append(part)
            release_pages(part)
        writer.finish()
    for path in files:
        path.unlink()


def join_ids(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate identities of rows: int64, or objects where there are strings."""
    if all(part.dtype == np.int64 for part in parts):
        return np.concatenate(parts)
    return to_ids([value for part in parts for value in part.tolist()])


def check_space(folder: Path | None, size: int) -> None:
    """Check that decoded data fit the disk of a folder, or 1 GiB of memory without a folder."""
    if folder is None:
        if size >= MAX_MEMORY_BYTES:
            raise UserError(
                f"The decoded data take {size / 2**30:.1f} GiB and the cache folder cannot be "
                f"written; set GLO_CACHE to a folder with that much space."
            )
        return
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"The decoded data take {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free "
            f"below {folder.parent}; give --size or --limit, or set GLO_CACHE to another folder."
        )


@final
class RowWriter:
    """Context manager that writes rows to a growing rows.npy file in a folder, or to memory.

    Rows are written to the file, not stored through a memory map: on a full disk writing raises
    an error, while a memory map ends the process.
    """

    def __init__(
        self, folder: Path | None, shape: tuple[int, ...], dtype: DTypeLike, *, max_rows: int
    ) -> None:
        self._shape, self._dtype, self._count = shape, np.dtype(dtype), 0
        self._path = None if folder is None else folder / ROWS_FILE
        if self._path is None:
            self._memory = np.empty((max_rows, *shape), self._dtype)
        else:
            self._file = self._path.open("wb")
            self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Append rows, (n, *shape) of the dtype."""
        assert rows.shape[1:] == self._shape
        assert rows.dtype == self._dtype
        end = self._count + len(rows)
        if self._path is None:
            self._memory[self._count : end] = rows
        else:
            self._file.write(np.ascontiguousarray(rows).data)
        self._count = end

    def finish(self) -> NDArray[Any]:
        """Return all rows, memory-mapped if there is a file."""
        if self._path is None:
            return self._memory[: self._count]
        self._file.seek(0)
        self._write_header()
        self._file.close()
        return open_npy(self._path)

    def _write_header(self) -> None:
        # NumPy pads the header so that a longer first axis does not change its length.
        header = {
            "descr": npy_format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._count, *self._shape),
        }
        npy_format.write_array_header_1_0(self._file, header)
