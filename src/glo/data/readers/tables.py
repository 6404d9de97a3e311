"""Tables: .csv, .tsv and .parquet files, and objects in memory with the Arrow stream interface."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from glo.data.cache import cache_key, open_cached
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec
from glo.data.dataset import Dataset
from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.arrow import open_arrow
from glo.data.readers.arrow_rows import ArrowRows, short_reason
from glo.data.readers.columns import LABELS, is_unnamed
from glo.data.readers.csv_cells import convert_column
from glo.data.readers.csv_format import MISSING, CsvFormat, find_format, is_real
from glo.data.reading import Reading
from glo.errors import UserError, listed, printable, require_extra

__all__ = [
    "TABLES",
    "is_csv",
    "is_table",
    "open_frame",
    "open_table_file",
    "read_table_file",
]

_TEXTS = (".csv", ".tsv")
TABLES = (*_TEXTS, ".parquet")
# Rows that are read at a time; of images few, as one that is stored once may be repeated often.
_BATCH, _IMAGE_BATCH = 4096, 32


def is_table(source: object) -> bool:
    """Return whether an object is a table of pandas, polars, pyarrow or similar."""
    return hasattr(source, "__arrow_c_stream__")


def open_frame(table: Any, options: SourceOptions) -> Dataset:
    """Make a dataset of an object with the Arrow stream interface, such as a data frame."""
    require_extra("A table", "tables", "pyarrow")
    import pyarrow

    check_train_split("A table", options)
    try:
        converted = pyarrow.table(table)
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        raise UserError(
            f"The table cannot be read ({short_reason(error)}); give unique names of columns, and "
            f"values of one type in each column."
        ) from None
    rows = _table_rows(converted, "The table", "table")
    return open_arrow(replace(rows, in_memory=True), options, NO_COLUMN_SPEC, None)


def open_table_file(
    path: Path, options: SourceOptions, spec: ColumnSpec, cache: Path | None
) -> Dataset:
    """Open a .csv or .tsv file, or a .parquet file, which may also have images."""
    require_extra(str(path), "tables", "pyarrow")
    check_train_split(str(path), options)

    def build(folder: Path | None) -> Dataset:
        return open_arrow(read_table_file(path, spec, options.reading), options, spec, folder)

    key = cache_key("table", f"{path.resolve()} {spec}", [path], options)
    return open_cached(key, build, cache)


def read_table_file(path: Path, spec: ColumnSpec, reading: Reading | None) -> ArrowRows:
    """Read a .csv or .tsv file, or the metadata of a .parquet file."""
    return _read_csv(path, spec, reading) if is_csv(path) else _read_parquet(path)


def is_csv(path: Path) -> bool:
    """Return whether a file name is one of a table of text."""
    return path.suffix.lower() in _TEXTS


def _read_csv(path: Path, spec: ColumnSpec, reading: Reading | None) -> ArrowRows:
    import pyarrow

    try:
        form = find_format(path, spec, reading)
        index = _index_names(form, spec, reading)
        labels = _label_names(form, spec, reading)
        table = _parse_csv(path, form, [*index, *labels])
        # Names that are not UTF-8 raise an error only here.
        names = table.schema.names
    except UserError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        advice = "check it: names in its first line, and as many cells in each line"
        if "UTF8" in str(error):
            advice = "save it as UTF-8, for example by iconv -f CP1252 -t UTF-8"
        raise _unreadable(path, error, advice) from None
    columns: list[tuple[str, Any]] = []
    faults: dict[str, str] = {}
    for name, column in zip(names, table.columns, strict=True):
        numbers, fault = column, ""
        if pyarrow.types.is_string(column.type):
            numbers, fault = convert_column(name, column, form)
        is_blank = pyarrow.types.is_null(numbers.type)
        if not (is_blank and is_unnamed(name)):
            is_text = name in index or (name in labels and _has_codes(column))
            columns.append((name, column if is_text and not is_blank else numbers))
            faults |= {name: fault} if fault else {}
    table = pyarrow.Table.from_arrays([each for _, each in columns], [name for name, _ in columns])
    rows = replace(_table_rows(table, str(path), printable(path.stem)), form=form, faults=faults)
    return replace(rows, notes=tuple(_notes(rows, form, len(names) - len(columns))))


def _index_names(form: CsvFormat, spec: ColumnSpec, reading: Reading | None) -> list[str]:
    """Return the columns that identify rows; their texts stay, such as 007."""
    if spec.index is not None:
        return [spec.index]
    features = {*spec.columns, *(reading.columns if reading else ())}
    names = [reading.index] if reading and reading.index else []
    names += [name for name in form.names[:1] if is_unnamed(name)]
    return [name for name in names if name not in features]


def _label_names(form: CsvFormat, spec: ColumnSpec, reading: Reading | None) -> list[str]:
    """Return the columns that may be labels."""
    known = [spec.label, reading.label if reading else ""]
    names = [name for name in form.names if name.lower() in LABELS or name in known]
    return [name for name in names if name not in spec.columns]


def _has_codes(texts: Any) -> bool:
    """Return whether texts are no numbers though they have digits only, such as 007."""
    from pyarrow import compute

    return bool(compute.any(compute.match_substring_regex(texts, r"^\s*0\d|\d{16}")).as_py())


def _parse_csv(path: Path, form: CsvFormat, texts: list[str]) -> Any:
    """Read a .csv file; columns of `texts` stay strings."""
    import pyarrow
    from pyarrow import csv

    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(
            encoding="utf8" if form.encoding.startswith("utf-8") else form.encoding,
            column_names=None if form.has_names else form.names,
        ),
        parse_options=csv.ParseOptions(
            delimiter=form.separator, newlines_in_values=form.has_quotes
        ),
        convert_options=csv.ConvertOptions(
            null_values=[*MISSING, *form.missing],
            decimal_point=form.decimal,
            column_types=dict.fromkeys(texts, pyarrow.string()),
        ),
    )


def _notes(rows: ArrowRows, form: CsvFormat, blank: int) -> Iterator[str]:
    if form.decimal != ".":
        yield f"'{form.decimal}' is read as the decimal sign"
    if form.thousands:
        yield f"'{form.thousands}' is read as the separator of thousands"
    if blank:
        yield f"{blank} blank column{'s' * (blank > 1)} without a name left out"
    if rows.unnamed:
        yield rows.unnamed
    elif any(map(is_real, form.names)):
        yield f"the numbers in the first line are read as names of columns: {listed(form.names)}"


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
