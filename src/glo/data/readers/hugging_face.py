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
from glo.data.readers.arrow_rows import ArrowRows, short_reason
from glo.errors import UserError, printable, require_extra

__all__ = ["is_hf_dataset", "is_hf_folder", "open_hf_dataset"]

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


def open_hf_dataset(
    source: Any,
    options: SourceOptions,
    spec: ColumnSpec = NO_COLUMN_SPEC,
    cache: Path | None = None,
) -> Dataset:
    """Convert a dataset of Hugging Face.

    Args:
        source: `datasets.Dataset` or `datasets.DatasetDict`; or a string: a folder that
            `save_to_disk` wrote, a file or a folder of files that `datasets.load_dataset` reads,
            or a name on the Hub, which is downloaded.
        options: options of the source; `split` selects the split.
        spec: columns by name, and the configuration.
        cache: cache folder, as for `open_source`.
    """
    what, name, where = "The dataset", "dataset", ""
    in_memory = not isinstance(source, str)
    if not in_memory:
        require_extra("A dataset of Hugging Face", "datasets", "datasets")
        what, where = f"The dataset {source}", f"{source} {spec}"
        name = printable(Path(source).name or "data")
        source = _load(source, spec)
    dataset = _select_split(source, what, options)

    def batches(names: list[str]) -> Iterator[Any]:
        yield from dataset.select_columns(names).with_format("arrow").iter(_BATCH)

    schema = dataset.features.arrow_schema
    rows = ArrowRows(
        what=what,
        name=name,
        n=len(dataset),
        schema=schema,
        batches=batches,
        in_memory=in_memory,
    )
    # The library's fingerprint, like the names of its cache files, covers the files that were
    # loaded and all transforms since.
    files = sorted(Path(each["filename"]) for each in dataset.cache_files)
    key = cache_key("dataset", where or f"loaded {dataset._fingerprint}", files, options)
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
