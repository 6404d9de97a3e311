"""The training data of a run, opened again and compared with the recorded fingerprint."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions, open_source
from glo.data.column_spec import split_column_spec
from glo.data.dataset import concatenate
from glo.data.options import Split
from glo.data.reading import Reading
from glo.data.storage import MAX_MEMORY_BYTES
from glo.errors import UserError
from glo.runs.data_record import DataRecord, RowChange
from glo.utils.random import permutation
from glo.utils.row_ranges import parse_rows

__all__ = [
    "Source",
    "check_shape",
    "find_sources",
    "hold_out",
    "open_training_data",
    "source_options",
    "source_place",
    "split_rows",
]

# Number of the epoch whose order chooses the held-out rows.
_BEFORE_TRAINING = -1

Source = str | Path | Dataset


def open_training_data(
    folder: Path,
    settings: Settings,
    record: DataRecord,
    reading: Reading,
    data: Source | None,
    *,
    command: str,
) -> Dataset:
    """Open the data that a run was trained on and repeat its row changes; see `Run.open_data`."""
    expected = record.changes[0].before if record.changes else record.fingerprint
    options = source_options(settings, limit=settings.limit)

    def read(source: Source) -> Dataset:
        # As at training, which finds decoded data in the cache.
        dataset = _training_part(open_source(source, options), settings, record)
        if dataset.fingerprint == expected:
            return dataset
        dataset = open_source(source, replace(options, reading=reading))
        return _training_part(dataset, settings, record)

    sources = find_sources(record, folder) if data is None else (data,)
    try:
        dataset = _open_first(sources, read, expected)
    except UserError as error:
        if data is not None:
            raise
        raise UserError(
            f"The training data of {folder} cannot be opened ({str(error).rstrip('.')}); give "
            f"them as DATA: {command} DATA."
        ) from None
    check_shape(folder, record, dataset, "The training data")
    if dataset.fingerprint != expected:
        raise UserError(
            f"These are not the data that {folder} was trained on: {record.n_trained:,} examples "
            f"with fingerprint {expected}, where {dataset.name} has {len(dataset):,} "
            f"with {dataset.fingerprint}; give those from {record.source}: {command} DATA."
        )
    for change in record.changes:
        options = _added_options(settings, record, change)
        dataset = _changed(folder, dataset, change, replace(options, reading=reading))
    return dataset


def find_sources(record: DataRecord | RowChange, folder: Path) -> tuple[str, ...]:
    """Return the places where the source of a run in `folder` may lie, at least one.

    A path is looked up from the working directory of the training, then at the same place beside
    the run folder, which may have moved together with the data, and then as it was named.
    """
    path, _ = split_column_spec(record.source)
    query = record.source[len(path) :]
    absolute = Path(record.directory, path).expanduser()
    places = []
    if record.directory and path:
        beside = folder.resolve() / os.path.relpath(absolute, record.run_folder)
        places = [os.path.normpath(place) for place in (absolute, beside) if place.exists()]
    return tuple(dict.fromkeys([*(place + query for place in places), record.source]))


def source_place(source: str, folder: Path) -> dict[str, Any]:
    """Return the fields of a record by which `find_sources` finds a source; none but for paths."""
    path = Path(split_column_spec(source)[0]).expanduser()
    if not path.exists():
        return {}
    return {"directory": os.getcwd(), "run_folder": str(folder.resolve())}


def _open_first(
    sources: Sequence[Source], read: Callable[[Source], Dataset], fingerprint: str
) -> Dataset:
    """Open sources until one has a fingerprint, and return it, or else the first that opens."""
    other, error = None, None
    for source in sources:
        try:
            dataset = read(source)
        except UserError as mistake:
            error = mistake
            continue
        if dataset.fingerprint == fingerprint:
            return dataset
        other = other or dataset
    if other is None:
        assert error is not None, "there is a source"
        raise error
    return other


def split_rows(n: int, fraction: float, *, seed: int) -> tuple[Tensor, Tensor]:
    """Return the training rows and the held-out rows of n, int64, ascending, chosen by a seed.

    Raises:
        UserError: fewer than two rows are left for training.

    Example:
        >>> split_rows(6, 0.3, seed=0)
        (tensor([2, 3, 4, 5]), tensor([0, 1]))
    """
    count = max(1, round(fraction * n))
    if n - count < 2:
        raise UserError(
            f"validation is {fraction:g}, which leaves {max(n - count, 0)} of {n} examples for "
            f"training; give a smaller fraction, more examples, or the path of others."
        )
    order = permutation(n, seed, _BEFORE_TRAINING)
    return order[count:].sort().values, order[:count].sort().values


def hold_out(dataset: Dataset, fraction: float, *, seed: int) -> tuple[Dataset, Dataset]:
    """Split a dataset into training rows and held-out rows, which keep their identities.

    Raises:
        UserError: fewer than two rows are left, or a copy of the rows would exceed 1 GiB.
    """
    training, held_out = split_rows(len(dataset), fraction, seed=seed)
    if dataset.is_mapped and dataset.rows.nbytes > MAX_MEMORY_BYTES:
        raise UserError(
            f"validation is {fraction:g} of {dataset.rows.nbytes / 2**30:.1f} GiB of examples in a "
            f"file, and the others would be copied into memory; give the path of held-out examples."
        )
    note = f"{len(held_out):,} examples, chosen by the seed, are held out of training."
    noted = dataset.replace(notes=(*dataset.notes, note))
    return noted.subset(training), dataset.subset(held_out)


def _training_part(dataset: Dataset, settings: Settings, record: DataRecord) -> Dataset:
    """Return the rows of a source that a run was trained on."""
    if dataset.fingerprint != record.whole or not isinstance(settings.validation, float):
        return dataset
    return hold_out(dataset, settings.validation, seed=settings.seed)[0]


def _changed(folder: Path, dataset: Dataset, change: RowChange, options: SourceOptions) -> Dataset:
    if change.kind == "forgotten":
        rows = parse_rows(change.rows, len(dataset)).numpy()
        return dataset.subset(np.delete(np.arange(len(dataset)), rows))
    try:
        sources = find_sources(change, folder)
        added = _open_first(sources, lambda s: open_source(s, options), change.fingerprint)
    except UserError as error:
        raise UserError(
            f"The {change.n:,} examples that were added to {folder} from {change.source} "
            f"cannot be opened ({str(error).rstrip('.')}); put them back to use the training data."
        ) from None
    if added.fingerprint != change.fingerprint:
        raise UserError(
            f"{change.source} has changed since {change.n:,} rows of {folder} were added from it; "
            f"put the old file back to use the training data."
        )
    return concatenate(dataset, added)


def _added_options(settings: Settings, record: DataRecord, change: RowChange) -> SourceOptions:
    split: Split = "test" if change.split == "test" else "train"
    options = replace(source_options(settings, limit=change.limit or None), split=split)
    if len(record.shape) != 3:
        return options
    channels, height, width = record.shape
    return replace(options, size=height if height == width else None, channels=channels)


def source_options(settings: Settings, *, limit: int | None = None) -> SourceOptions:
    """Return the options by which settings read a source."""
    return SourceOptions(
        size=settings.size,
        channels=settings.channels,
        crop=settings.crop,
        pixel_range=settings.pixel_range,
        limit=limit,
    )


def check_shape(folder: Path, record: DataRecord, dataset: Dataset, name: str) -> None:
    """Check that examples, `name` in the message, have the shape of the training examples."""
    if dataset.shape != record.shape:
        actual, expected = (" x ".join(map(str, s)) for s in (dataset.shape, record.shape))
        raise UserError(
            f"{name}, {dataset.name}, are of {actual}, but {folder} was trained on "
            f"examples of {expected}; give data of that shape."
        )
