"""Datasets of Hugging Face: saved in a folder, loaded from local files, or named on the Hub."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glo.data.cache import cache_key, open_cached
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec
from glo.data.dataset import Dataset
from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.arrow import open_arrow
from glo.data.readers.arrow_values import ArrowRows, short_reason
from glo.errors import UserError, printable, require_extra

__all__ = ["is_hf_dataset", "is_hf_folder", "load_hf_dataset", "open_hf_dataset"]

_BATCH = 256
_FILE_TYPES = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}
# Files that `save_to_disk` writes for one split and for several.
_MARKERS = ("state.json", "dataset_dict.json")


def is_hf_folder(folder: Path) -> bool:
    """Return whether a folder was written by `save_to_disk` of the library datasets."""
    return any((folder / marker).is_file() for marker in _MARKERS)


def is_hf_dataset(source: object) -> bool:
    """Return whether an object is a `datasets.Dataset` or `datasets.DatasetDict`."""
    # Whoever has such an object has imported the library; others may have a module of that name.
    if "datasets.arrow_dataset" not in sys.modules:
        return False
    import datasets

    return isinstance(source, datasets.Dataset | datasets.DatasetDict)


def open_hf_dataset(source: Any, options: SourceOptions, cache: Path | None = None) -> Dataset:
    """Convert a dataset that the library datasets has loaded.

    Args:
        source: `datasets.Dataset` or `datasets.DatasetDict`.
        options: options of the source; `split` selects the split.
        cache: cache folder, as for `open_source`.

    Raises:
        UserError: a column cannot be used, or there is no such split.
    """
    split = _select_split(source, "The dataset", options)
    # The library's fingerprint covers the loaded files and all transforms since.
    where = f"loaded {split._fingerprint}"
    return _open(split, "The dataset", "dataset", where, options, NO_COLUMN_SPEC, cache)


def load_hf_dataset(
    place: str, options: SourceOptions, spec: ColumnSpec, cache: Path | None = None
) -> Dataset:
    """Load and convert a dataset of Hugging Face.

    Args:
        place: a folder that `save_to_disk` wrote; a file, or a folder of files, that
            `datasets.load_dataset` reads; or a name on the Hub, which is downloaded.
        options: options of the source; `split` selects the split.
        spec: columns by name, and the configuration.
        cache: cache folder, as for `open_source`.

    Raises:
        UserError: it cannot be found or read, has no such split, or datasets is not installed.
    """
    require_extra("A dataset of Hugging Face", "datasets", "datasets")
    what, name = f"The dataset {place}", printable(Path(place).name or "data")
    split = _select_split(_load(place, spec), what, options)
    return _open(split, what, name, f"{place} {spec}", options, spec, cache)


def _open(
    dataset: Any,
    what: str,
    name: str,
    where: str,
    options: SourceOptions,
    spec: ColumnSpec,
    cache: Path | None,
) -> Dataset:
    def batches(names: list[str]) -> Iterator[Any]:
        yield from dataset.select_columns(names).with_format("arrow").iter(_BATCH)

    # The names of the library's cache files depend on everything that determines their content.
    files = sorted(Path(each["filename"]) for each in dataset.cache_files)
    schema = dataset.features.arrow_schema
    rows = ArrowRows(what=what, name=name, n=len(dataset), schema=schema, batches=batches)
    key = cache_key("dataset", where, files, options)
    return open_cached(key, lambda folder: open_arrow(rows, options, spec, folder), cache)


def _load(place: str, spec: ColumnSpec) -> Any:
    import datasets

    path = Path(place).expanduser()
    try:
        if is_hf_folder(path):
            return datasets.load_from_disk(path)
        if path.is_file():
            kind = _FILE_TYPES.get(path.suffix.lower())
            if kind is None:
                raise UserError(
                    f"{path} is no file that datasets reads; give one that ends in "
                    f"{', '.join(_FILE_TYPES)}, or a folder."
                )
            return datasets.load_dataset(kind, data_files=str(path))
        return datasets.load_dataset(str(path) if path.exists() else place, spec.config or None)
    except UserError:
        raise
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise UserError(
            f"hf:{place} cannot be opened: {short_reason(error)}; give a folder, a file, or the "
            f"name of a dataset on the Hub."
        ) from None


def _select_split(source: Any, what: str, options: SourceOptions) -> Any:
    import datasets

    if not isinstance(source, datasets.DatasetDict):
        check_train_split(what, options)
        return source
    if options.split not in source:
        raise UserError(
            f"{what} has no split '{options.split}', but {', '.join(map(str, source))}; save the "
            f"split with save_to_disk and give its folder."
        )
    return source[options.split]
