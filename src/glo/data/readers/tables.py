"""Tables: .csv and .parquet files, and whatever in memory can show itself as an Arrow table."""

from collections.abc import Iterator
from dataclasses import replace
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

__all__ = [
    "TABLES",
    "is_table",
    "open_frame",
    "open_table_file",
    "read_table_file",
    "read_texts",
]

TABLES = (".csv", ".parquet")
# Rows that are read at a time; of images few: one that is kept once may be meant a thousand times.
_BATCH, _FEW = 4096, 32
# Bytes of the first line of a .csv file that are looked at.
_LONGEST_LINE = 2**20


def is_table(source: object) -> bool:
    """Say whether something in memory is a table: of pandas, polars, pyarrow or their kin."""
    return hasattr(source, "__arrow_c_stream__")


def open_frame(table: Any, options: SourceOptions) -> Dataset:
    """Make a set of a table in memory.

    Args:
        table: what can show itself as an Arrow table.
        options: as for any source.

    Raises:
        UserError: a column cannot be used, or pyarrow is not installed.
    """
    require_extra("A table", "tables", "pyarrow")
    import pyarrow

    check_no_split("A table", options)
    rows = _rows(pyarrow.table(table), "The table", "table")
    return open_arrow(rows, options, NO_COLUMN_SPEC, None)


def open_table_file(
    path: Path, options: SourceOptions, choice: ColumnSpec, cache: Path | None
) -> Dataset:
    """Open a .csv file with a header, or a .parquet file, which may also hold images.

    Raises:
        UserError: it cannot be read, a column cannot be used, or pyarrow is not installed.
    """
    require_extra(f"{shown(path)}", "tables", "pyarrow")
    check_no_split(shown(path), options)

    def build(room: Path | None) -> Dataset:
        return open_arrow(read_table_file(path), options, choice, room)

    key = key_of("table", f"{path.resolve()} {choice}", [path], options)
    return fetch(key, build, cache)


def read_table_file(path: Path) -> ArrowRows:
    """Read a .csv file, or the head of a .parquet file.

    Raises:
        UserError: it cannot be read.
    """
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)


def _read_csv(path: Path) -> ArrowRows:
    from pyarrow import ArrowException, csv

    try:
        _check_commas(path)
        table = csv.read_csv(path)
        # Names that are no text show themselves only when they are asked for.
        names = table.schema.names
    except UserError:
        raise
    except (ArrowException, OSError, ValueError, MemoryError) as error:
        advice = "check it: names in its first line, commas between columns, points in numbers"
        raise _unreadable(path, error, advice) from None
    rows = _rows(table, shown(path), shown(path.stem))
    if not _is_an_example(names):
        return rows
    first = f"the first line of {shown(path)}: its numbers were taken as names of columns"
    return replace(rows, skipped=(first,))


def _check_commas(path: Path) -> None:
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    for mark, name in ((b";", "semicolons"), (b"\t", "tabs")):
        if mark in first and b"," not in first:
            raise UserError(
                f"The first line of {shown(path)} has {name} and no commas; save the table with "
                f"commas between its columns and points in its numbers."
            )


def _is_an_example(names: list[str]) -> bool:
    """Tell whether names of columns are numbers, and not in an order as wavelengths are."""
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return False
    return numbers not in (sorted(numbers), sorted(numbers, reverse=True))


def _read_parquet(path: Path) -> ArrowRows:
    from pyarrow import ArrowException, parquet, types

    damage = (ArrowException, OSError, ValueError, MemoryError)
    try:
        file = parquet.ParquetFile(path)
        n, schema = file.metadata.num_rows, file.schema_arrow
        _ = schema.names
    except damage as error:
        raise _unreadable(path, error) from None

    def batches(names: list[str]) -> Iterator[Any]:
        plain = all(types.is_primitive(schema.field(name).type) for name in names)
        try:
            yield from file.iter_batches(_BATCH if plain else _FEW, columns=names)
        except damage as error:
            raise _unreadable(path, error) from None

    return ArrowRows(
        what=shown(path),
        name=shown(path.stem),
        n=n,
        schema=schema,
        batches=batches,
        length=path.stat().st_size,
    )


def read_texts(path: Path, names: list[str]) -> Any:
    """Return the cells of a .csv file as they are written there.

    Args:
        path: of the file.
        names: all its columns.

    Returns:
        pyarrow.Table of strings, with the rows that `read_table_file` finds.

    Raises:
        UserError: it is no text in UTF-8.
    """
    import pyarrow
    from pyarrow import csv

    kinds = dict.fromkeys(names, pyarrow.string())
    plain = csv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
    try:
        return csv.read_csv(path, convert_options=plain)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException, advice: str = "check it") -> UserError:
    told = " ".join(str(error).split())[:200].rstrip(".")
    return UserError(f"{shown(path)} cannot be read as a table ({told}); {advice}.")


def _rows(table: Any, what: str, name: str) -> ArrowRows:
    def batches(names: list[str]) -> Iterator[Any]:
        yield from table.select(names).to_batches(max_chunksize=_BATCH)

    return ArrowRows(what=what, name=name, n=len(table), schema=table.schema, batches=batches)
