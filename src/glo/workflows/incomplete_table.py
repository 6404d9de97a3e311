"""Incomplete tables: read with their missing values, and written with these imputed."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from glo.data import Dataset, SourceOptions, open_source
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec, split_column_spec
from glo.data.csv_fill import fill_cells
from glo.data.options import check_train_split
from glo.data.readers.arrays import infer_layout, limit_rows, open_layout
from glo.data.readers.arrow import open_numbers
from glo.data.readers.arrow_rows import (
    TICKS,
    ArrowRows,
    is_list,
    numbers_of,
    read_batches,
    short_reason,
)
from glo.data.readers.columns import check_columns
from glo.data.readers.npy import open_npy, read_npz_examples
from glo.data.readers.tables import TABLES, is_csv, read_table_file
from glo.data.table_writer import save_vectors
from glo.errors import UserError, printable, require_extra
from glo.utils.files import atomic_write

__all__ = ["IncompleteTable", "open_incomplete_table"]

_ARRAYS = (".npy", ".npz")


class IncompleteTable(ABC):
    """Table of numbers with missing values, and its other columns.

    Attributes:
        source: name of the table in messages.
        dataset: float32 or float64 (n, F), NaN where a value is missing.
        missing: bool (n, F).
    """

    def __init__(self, dataset: Dataset, source: str) -> None:
        self.source = source
        self.dataset = dataset
        self.missing = np.isnan(dataset.rows)

    @abstractmethod
    def save(self, path: Path, imputed: NDArray[Any]) -> None:
        """Write the table, with (n, F) values for the missing ones, atomically.

        A .csv, .tsv or .parquet file has all columns, a .npy file those of numbers only.
        """


def open_incomplete_table(source: str, options: SourceOptions) -> IncompleteTable:
    """Open an incomplete table: a .csv, .tsv or .parquet file, with columns as for training, or an
    array.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "animals.csv"
        >>> _ = path.write_bytes(b"kind;mass; wing\\r\\nbee;0,10; \\n\\nant;0,25;7")
        >>> table = open_incomplete_table(f"{path}?label=kind", SourceOptions())
        >>> table.save(path.with_name("filled.csv"), np.array([[5, 6.5], [7, 8]], np.float32))
        >>> path.with_name("filled.csv").read_bytes()
        b'kind;mass; wing\\r\\nbee;0,10; 6,5\\n\\nant;0,25;7'
    """
    place, spec = split_column_spec(source)
    path = Path(place).expanduser()
    suffix = path.suffix.lower()
    if suffix in TABLES and path.is_file():
        return IncompleteFrame(path, options, spec)
    if suffix not in _ARRAYS or not path.is_file() or spec != NO_COLUMN_SPEC:
        if not path.exists() and place != "mnist" and not place.startswith("hf:"):
            # A missing file raises its own error here, with a similar name.
            open_source(place, SourceOptions(limit=1))
        raise UserError(f"{source} is not a table; give a {', '.join(TABLES)}, .npy or .npz file.")
    if suffix == ".npz":
        values = read_npz_examples(path, options).examples
    else:
        check_train_split(str(path), options)
        values = open_npy(path)
    return IncompleteArray(limit_rows(values, options.limit), options, path)


@final
class IncompleteArray(IncompleteTable):
    """Incomplete array of numbers, (n, F)."""

    def __init__(self, values: NDArray[Any], options: SourceOptions, path: Path) -> None:
        if values.ndim != 2:
            actual = " x ".join(map(str, values.shape))
            raise UserError(f"{path} has an array of {actual}; give rows of numbers.")
        layout = infer_layout(values, options, str(path))
        super().__init__(open_layout(layout, None, printable(path.stem), {}), str(path))
        self._values = values
        self._names = options.reading.columns if options.reading else ()

    def save(self, path: Path, imputed: NDArray[Any]) -> None:
        filled = np.array(self._values)
        _put(filled, self.missing, imputed)
        save_vectors(path, filled, self._names)


@final
class IncompleteFrame(IncompleteTable):
    """Incomplete data frame, with columns of numbers and other columns, which stay unchanged."""

    def __init__(self, path: Path, options: SourceOptions, spec: ColumnSpec) -> None:
        require_extra(str(path), "tables", "pyarrow")
        check_train_split(str(path), options)
        rows = read_table_file(path, spec, options.reading)
        self._path, self._form = path, rows.form
        dataset, self._names = open_numbers(check_columns(rows, spec), options, spec)
        for name in self._names:
            if is_list(rows.schema.field(name).type):
                raise UserError(
                    f"The column '{name}' of {path} has lists, whose gaps glo restore does not "
                    f"fill; give a column for each number."
                )
        super().__init__(dataset, str(path))
        self._table = _whole(rows, options.limit)
        self._rows = rows

    def save(self, path: Path, imputed: NDArray[Any]) -> None:
        if is_csv(path) and self._form is not None:
            content = fill_cells(
                self._path.read_bytes(), self._form, self._texts(imputed), len(imputed)
            )
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)
            return
        if path.suffix == ".npy":
            filled = [numbers_of(self._rows, n, self._table.column(n)) for n in self._names]
            values = np.concatenate(filled, axis=1)
            _put(values, self.missing, imputed)
            save_vectors(path, values)
            return
        columns = {
            name: _filled(self._rows, name, column, self.missing[:, place], imputed[:, place])
            for place, name in enumerate(self._names)
            if self.missing[:, place].any() and (column := self._table.column(name))
        }
        with atomic_write(path) as temporary:
            self._write(temporary, columns)

    def _write(self, path: Path, columns: dict[str, Any]) -> None:
        from pyarrow import ArrowException, csv, parquet

        table = self._table
        for name, column in columns.items():
            table = table.set_column(table.schema.get_field_index(name), name, column)
        table = table.replace_schema_metadata(_metadata(self._table.schema, table.schema))
        try:
            if is_csv(path):
                separator = "\t" if path.suffix == ".tsv" else ","
                csv.write_csv(table, path, csv.WriteOptions(delimiter=separator))
            else:
                parquet.write_table(table, path)
        except ArrowException as error:
            raise UserError(
                f"The table cannot be written as {path.suffix} ({short_reason(error)}); give "
                f"another suffix."
            ) from None

    def _texts(self, imputed: NDArray[Any]) -> dict[int, dict[int, str]]:
        """Return the imputed numbers by row and by column of the file."""
        assert self._form is not None
        places = [self._form.names.index(name) for name in self._names]
        texts: dict[int, dict[int, str]] = {}
        for row, place in np.argwhere(self.missing).tolist():
            texts.setdefault(row, {})[places[place]] = str(imputed[row, place])
        return texts


def _whole(rows: ArrowRows, limit: int | None) -> Any:
    """Read the first rows of a table, or all, with all columns."""
    import pyarrow

    parts = read_batches(rows, rows.schema.names, limit)
    return pyarrow.Table.from_batches(parts, schema=rows.schema)


def _metadata(before: Any, after: Any) -> dict[bytes, bytes]:
    """Return the metadata of a schema with the types that pandas gives the columns of another."""
    metadata = dict(before.metadata or {})
    changed = {name for name in after.names if after.field(name).type != before.field(name).type}
    if b"pandas" in metadata and changed:
        try:
            pandas = json.loads(metadata[b"pandas"])
            for column in pandas["columns"]:
                if column["field_name"] in changed:
                    kind = after.field(column["field_name"]).type.to_pandas_dtype().__name__
                    column |= {"pandas_type": kind, "numpy_type": kind, "metadata": None}
            metadata[b"pandas"] = json.dumps(pandas).encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            del metadata[b"pandas"]  # metadata that pandas did not write
    return metadata


def _filled(
    rows: ArrowRows, name: str, column: Any, missing: NDArray[np.bool_], imputed: NDArray[Any]
) -> Any:
    """Return an incomplete column with imputed values: floats, or durations of its type."""
    import pyarrow
    from pyarrow import compute, types

    kind = column.type
    if types.is_duration(kind):
        ticks = np.array(compute.cast(column, pyarrow.int64()).fill_null(0))
        ticks[missing] = np.rint(imputed[missing] * TICKS[kind.unit])
        return pyarrow.array(ticks).cast(kind)
    is_float = types.is_floating(kind)
    values = np.array(column.to_numpy() if is_float else numbers_of(rows, name, column)[:, 0])
    _put(values, missing, imputed)
    return pyarrow.array(values)


def _put(values: NDArray[Any], missing: NDArray[np.bool_], imputed: NDArray[Any]) -> None:
    # Through decimals, so that 0.1 in float32 becomes 0.1 in float64 and not 0.10000000149.
    values[missing] = imputed[missing].astype(str).astype(values.dtype)
