"""Data sets of Hugging Face: saved in a folder, made of local files, or named on the Hub."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glo.data.cache import fetch, key_of
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec
from glo.data.dataset import Dataset
from glo.data.options import SourceOptions
from glo.data.readers.array_files import check_no_split
from glo.data.readers.arrow import open_arrow
from glo.data.readers.arrow_values import ArrowRows
from glo.data.readers.images import shown
from glo.errors import UserError, require_extra

__all__ = ["is_dataset", "is_saved_dataset", "open_dataset", "open_loaded"]

_BATCH = 256
_TABLES = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}
# What `save_to_disk` leaves in a folder, for one split and for several.
_MARKS = ("state.json", "dataset_dict.json")


def is_saved_dataset(folder: Path) -> bool:
    """Say whether a folder was written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    return any((folder / mark).is_file() for mark in _MARKS)


def is_dataset(source: object) -> bool:
    """Say whether something in memory is a `Dataset` or `DatasetDict` of Hugging Face."""
    # Who has one has imported the library; some have a module of that name of their own.
    if "datasets.arrow_dataset" not in sys.modules:
        return False
    import datasets

    return isinstance(source, datasets.Dataset | datasets.DatasetDict)


def open_loaded(source: Any, options: SourceOptions, cache: Path | None = None) -> Dataset:
    """Make a set of a data set that the library has loaded already.

    Args:
        source: `datasets.Dataset` or `DatasetDict`.
        options: as for any source; `split` chooses among the splits.
        cache: as for `open_source`.

    Raises:
        UserError: a column cannot be used, or there is no such split.
    """
    what = "The data set"
    dataset = _one_split(source, what, options)
    # The library names by it what was loaded and all that was done to it since.
    key = key_of("dataset", f"loaded {dataset._fingerprint}", _files(dataset), options)
    rows = _rows(dataset, what, "dataset")
    return fetch(key, lambda room: open_arrow(rows, options, NO_COLUMN_SPEC, room), cache)


def open_dataset(
    place: str, options: SourceOptions, choice: ColumnSpec, cache: Path | None = None
) -> Dataset:
    """Open a data set of Hugging Face.

    Args:
        place: a folder that `save_to_disk` wrote; a file, or a folder of files, that
            `datasets.load_dataset` reads; or a name on the Hub, which is downloaded.
        options: as for any source; `split` chooses among the splits.
        choice: columns by name, and the configuration.
        cache: as for `open_source`.

    Raises:
        UserError: it cannot be found or read, has no such split, or datasets is not installed.
    """
    require_extra("A data set of Hugging Face", "datasets", "datasets")
    what = f"The data set {shown(place)}"
    dataset = _one_split(_load(place, choice), what, options)
    key = key_of("dataset", f"{place} {choice}", _files(dataset), options)
    rows = _rows(dataset, what, shown(Path(place).name or "data"))
    return fetch(key, lambda room: open_arrow(rows, options, choice, room), cache)


def _files(dataset: Any) -> list[Path]:
    # The files that the library keeps are named by all that decides their content.
    return sorted(Path(each["filename"]) for each in dataset.cache_files)


def _load(place: str, choice: ColumnSpec) -> Any:
    import datasets

    path = Path(place).expanduser()
    config = choice.config or None
    try:
        if is_saved_dataset(path):
            return datasets.load_from_disk(path)
        if path.is_file():
            kind = _TABLES.get(path.suffix.lower())
            if kind is None:
                raise UserError(
                    f"{shown(path)} is no file that datasets reads; give one that ends in "
                    f"{', '.join(_TABLES)}, or a folder."
                )
            return datasets.load_dataset(kind, data_files=str(path))
        return datasets.load_dataset(str(path) if path.exists() else place, config)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        if isinstance(error, UserError):
            raise
        told = " ".join(str(error).split())[:300].rstrip(".")
        raise UserError(
            f"hf:{shown(place)} cannot be opened: {told}; give a folder, a file, or the name of a "
            f"data set on the Hub."
        ) from None


def _one_split(found: Any, what: str, options: SourceOptions) -> Any:
    import datasets

    if not isinstance(found, datasets.DatasetDict):
        check_no_split(what, options)
        return found
    if options.split not in found:
        raise UserError(
            f"{what} has no split '{options.split}', but {', '.join(map(str, found))}; save the "
            f"one that you mean by itself with save_to_disk and give that."
        )
    return found[options.split]


def _rows(dataset: Any, what: str, name: str) -> ArrowRows:
    return ArrowRows(
        what=what,
        name=name,
        n=len(dataset),
        schema=dataset.features.arrow_schema,
        batches=lambda names: _batches(dataset, names),
    )


def _batches(dataset: Any, names: list[str]) -> Iterator[Any]:
    yield from dataset.select_columns(names).with_format("arrow").iter(_BATCH)
