"""Tables: .csv and .parquet files, and objects in memory with the Arrow stream interface."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from glo.data.cache import cache_key, open_cached
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec
from glo.data.dataset import Dataset
from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.arrow import ArrowRows, open_arrow, short_reason
from glo.errors import UserError, printable, require_extra

__all__ = [
    "TABLES",
    "is_table",
    "open_frame",
    "open_table_file",
    "read_csv_strings",
    "read_table_file",
]

TABLES = (".csv", ".parquet")
# Rows that are read at a time; of images few, as one that is stored once may be repeated often.
_BATCH, _IMAGE_BATCH = 4096, 32
_MAX_LINE_BYTES = 2**20


def is_table(source: object) -> bool:
    """Return whether an object is a table of pandas, polars, pyarrow or similar."""
    return hasattr(source, "__arrow_c_stream__")


def open_frame(table: Any, options: SourceOptions) -> Dataset:
    """Make a dataset of an object with the Arrow stream interface, such as a data frame."""
    require_extra("A table", "tables", "pyarrow")
    import pyarrow

    check_train_split("A table", options)
    rows = _table_rows(pyarrow.table(table), "The table", "table")
    return open_arrow(rows, options, NO_COLUMN_SPEC, None)


def open_table_file(
    path: Path, options: SourceOptions, spec: ColumnSpec, cache: Path | None
) -> Dataset:
    """Open a .csv file with a header, or a .parquet file, which may also have images."""
    require_extra(str(path), "tables", "pyarrow")
    check_train_split(str(path), options)

    def build(folder: Path | None) -> Dataset:
        return open_arrow(read_table_file(path), options, spec, folder)

    key = cache_key("table", f"{path.resolve()} {spec}", [path], options)
    return open_cached(key, build, cache)


def read_table_file(path: Path) -> ArrowRows:
    """Read a .csv file, or the metadata of a .parquet file."""
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)


def read_csv_strings(path: Path, names: list[str]) -> Any:
    """Return the cells of a .csv file with the given columns as a pyarrow.Table of strings."""
    import pyarrow
    from pyarrow import csv

    types = dict.fromkeys(names, pyarrow.string())
    options = csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    try:
        return csv.read_csv(path, convert_options=options)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from None


def _read_csv(path: Path) -> ArrowRows:
    from pyarrow import ArrowException, csv

    try:
        _check_separator(path)
        table = csv.read_csv(path)
        # Names that are not UTF-8 raise an error only here.
        names = table.schema.names
    except UserError:
        raise
    except (ArrowException, OSError, ValueError, MemoryError) as error:
        advice = "check it: names in its first line, commas between columns, points in numbers"
        raise _unreadable(path, error, advice) from None
    rows = _table_rows(table, str(path), printable(path.stem))
    if not _looks_like_values(names):
        return rows
    sentence = f"the first line of {path}: its numbers were taken as names of columns"
    return replace(rows, skipped=(printable(sentence),))


def _check_separator(path: Path) -> None:
    with path.open("rb") as file:
        line = file.readline(_MAX_LINE_BYTES)
    for mark, name in ((b";", "semicolons"), (b"\t", "tabs")):
        if mark in line and b"," not in line:
            raise UserError(
                f"The first line of {path} has {name} and no commas; save the table with commas "
                f"between its columns and points in its numbers."
            )


def _looks_like_values(names: list[str]) -> bool:
    """Return whether the names of columns are numbers that are not sorted as wavelengths are."""
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return False
    return numbers not in (sorted(numbers), sorted(numbers, reverse=True))


def _read_parquet(path: Path) -> ArrowRows:
    from pyarrow import ArrowException, parquet, types

    errors = (ArrowException, OSError, ValueError, MemoryError)
    try:
        file = parquet.ParquetFile(path)
        n, schema = file.metadata.num_rows, file.schema_arrow
        _ = schema.names  # raises for names that are not UTF-8
    except errors as error:
        raise _unreadable(path, error) from None

    def batches(names: list[str]) -> Iterator[Any]:
        is_numeric = all(types.is_primitive(schema.field(name).type) for name in names)
        try:
            yield from file.iter_batches(_BATCH if is_numeric else _IMAGE_BATCH, columns=names)
        except errors as error:
            raise _unreadable(path, error) from None

    return ArrowRows(
        what=str(path),
        name=printable(path.stem),
        n=n,
        schema=schema,
        batches=batches,
        length=path.stat().st_size,
    )


def _table_rows(table: Any, what: str, name: str) -> ArrowRows:
    def batches(names: list[str]) -> Iterator[Any]:
        yield from table.select(names).to_batches(max_chunksize=_BATCH)

    return ArrowRows(what=what, name=name, n=len(table), schema=table.schema, batches=batches)


def _unreadable(path: Path, error: BaseException, advice: str = "check it") -> UserError:
    return UserError(f"{path} cannot be read as a table ({short_reason(error)}); {advice}.")
