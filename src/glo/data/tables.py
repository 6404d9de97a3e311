"""Tables: .csv and .parquet files, and whatever in memory can show itself as an Arrow table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glo.data.arrow import open_arrow
from glo.data.arrow_values import ArrowRows
from glo.data.cache import fetch, key_of
from glo.data.choice import NO_CHOICE, Choice
from glo.data.files import check_no_split
from glo.data.images import shown
from glo.data.options import SourceOptions
from glo.data.samples import Samples
from glo.errors import UserError
from glo.extras import need

__all__ = ["TABLES", "is_table", "open_frame", "open_table_file"]

TABLES = (".csv", ".parquet")
# Rows that are read at a time; of images few: one that is kept once may be meant a thousand times.
_BATCH, _FEW = 4096, 32


def is_table(source: object) -> bool:
    """Say whether something in memory is a table: of pandas, polars, pyarrow or their kin."""
    return hasattr(source, "__arrow_c_stream__")


def open_frame(table: Any, options: SourceOptions) -> Samples:
    """Make a set of a table in memory.

    Args:
        table: what can show itself as an Arrow table.
        options: as for any source.

    Raises:
        UserError: a column cannot be used, or pyarrow is not installed.
    """
    need("A table", "tables", "pyarrow")
    import pyarrow

    check_no_split("A table", options)
    rows = _rows(pyarrow.table(table), "The table", "table")
    return open_arrow(rows, options, NO_CHOICE, None)


def open_table_file(
    path: Path, options: SourceOptions, choice: Choice, cache: Path | None
) -> Samples:
    """Open a .csv file with a header, or a .parquet file, which may also hold images.

    Raises:
        UserError: it cannot be read, a column cannot be used, or pyarrow is not installed.
    """
    need(f"{shown(path)}", "tables", "pyarrow")
    check_no_split(shown(path), options)

    def build(room: Path | None) -> Samples:
        return open_arrow(_read(path), options, choice, room)

    key = key_of("table", f"{path.resolve()} {choice}", [path], options)
    return fetch(key, build, cache)


def _read(path: Path) -> ArrowRows:
    from pyarrow import ArrowException, csv, parquet, types

    damage = (ArrowException, OSError, ValueError, MemoryError)
    try:
        if path.suffix.lower() == ".csv":
            table = csv.read_csv(path)
            # Names that are no text show themselves only when they are asked for.
            _ = table.schema.names
            return _rows(table, shown(path), shown(path.stem))
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


def _unreadable(path: Path, error: BaseException) -> UserError:
    told = " ".join(str(error).split())[:200].rstrip(".")
    return UserError(f"{shown(path)} cannot be read as a table ({told}); check it.")


def _rows(table: Any, what: str, name: str) -> ArrowRows:
    def batches(names: list[str]) -> Iterator[Any]:
        yield from table.select(names).to_batches(max_chunksize=_BATCH)

    return ArrowRows(what=what, name=name, n=len(table), schema=table.schema, batches=batches)
