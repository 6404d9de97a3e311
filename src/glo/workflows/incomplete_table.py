"""Incomplete tables: read with their missing values, and written with these imputed."""

import csv
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from glo.data import Dataset, SourceOptions, open_source
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec, split_column_spec
from glo.data.options import check_train_split
from glo.data.readers.arrays import convert_rows, infer_layout, limit_rows
from glo.data.readers.arrow import ArrowRows, check_unpacked_size, number_columns, to_float32
from glo.data.readers.npy import open_npy, read_npz_examples
from glo.data.readers.tables import TABLES, read_csv_strings, read_table_file
from glo.data.table_writer import save_vectors
from glo.errors import UserError, printable, require_extra
from glo.utils.files import atomic_write

__all__ = ["IncompleteTable", "open_incomplete_table"]

_ARRAYS = (".npy", ".npz")
_BATCH = 4096


class IncompleteTable(ABC):
    """Table of numbers with missing values, and its other columns.

    Attributes:
        source: name of the table in messages.
        dataset: float32 (n, F), NaN where a value is missing.
        missing: bool (n, F).
    """

    def __init__(
        self, values: NDArray[Any], options: SourceOptions, source: str, name: str
    ) -> None:
        rows = convert_rows(infer_layout(values, options, source), None)
        self.source = source
        self.dataset = Dataset(rows=rows, name=name)
        self.missing = np.isnan(rows)

    @abstractmethod
    def save(self, path: Path, imputed: NDArray[np.float32]) -> None:
        """Write the table, with (n, F) values for the missing ones, atomically.

        A .csv or .parquet file has all columns, a .npy file those of numbers only.
        """


def open_incomplete_table(source: str, options: SourceOptions) -> IncompleteTable:
    """Open an incomplete table: a .csv or .parquet file, with columns as for training, or an array.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "animals.csv"
        >>> _ = path.write_text("kind,mass,wing\\nbee,0.1,\\nant,0.25,7\\n")
        >>> table = open_incomplete_table(f"{path}?label=kind", SourceOptions())
        >>> table.save(path.with_name("filled.csv"), np.array([[5, 6], [7, 8]], np.float32))
        >>> print(path.with_name("filled.csv").read_text())
        kind,mass,wing
        bee,0.1,6.0
        ant,0.25,7
        <BLANKLINE>
    """
    place, columns = split_column_spec(source)
    path = Path(place).expanduser()
    suffix = path.suffix.lower()
    if suffix in TABLES and path.is_file():
        return IncompleteFrame(path, options, columns)
    if suffix not in _ARRAYS or not path.is_file() or columns != NO_COLUMN_SPEC:
        if not path.exists() and place != "mnist" and not place.startswith("hf:"):
            # A missing file raises its own error here, with a similar name.
            open_source(place, SourceOptions(limit=1))
        raise UserError(f"{source} is not a table; give a .csv, .parquet, .npy or .npz file.")
    if suffix == ".npz":
        values = read_npz_examples(path, options).examples
    else:
        check_train_split(str(path), options)
        values = open_npy(path)
    return IncompleteArray(
        limit_rows(values, options.limit), options, str(path), printable(path.stem)
    )


@final
class IncompleteArray(IncompleteTable):
    """Incomplete array of numbers, (n, F)."""

    def __init__(
        self, values: NDArray[Any], options: SourceOptions, source: str, name: str
    ) -> None:
        if values.ndim != 2:
            actual = " x ".join(map(str, values.shape))
            raise UserError(f"{source} has an array of {actual}; give rows of numbers.")
        super().__init__(values, options, source, name)
        self._values = values

    def save(self, path: Path, imputed: NDArray[np.float32]) -> None:
        filled = np.array(self._values)
        _put(filled, self.missing, imputed)
        save_vectors(path, filled)


@final
class IncompleteFrame(IncompleteTable):
    """Incomplete data frame, with columns of numbers and other columns, which stay unchanged."""

    def __init__(self, path: Path, options: SourceOptions, columns: ColumnSpec) -> None:
        require_extra(str(path), "tables", "pyarrow")
        check_train_split(str(path), options)
        rows = read_table_file(path)
        self._names = number_columns(rows, columns)
        self._table = _whole(rows, options.limit)
        # Known cells of a .csv file keep their digits in a .csv file.
        self._texts = read_csv_strings(path, rows.schema.names) if _is_csv(path) else None
        values = [to_float32(rows, self._table.column(name)) for name in self._names]
        super().__init__(np.stack(values, axis=1), options, rows.what, rows.name)

    def save(self, path: Path, imputed: NDArray[np.float32]) -> None:
        if _is_csv(path) and self._texts is not None:
            with atomic_write(path) as temporary:
                self._write_texts(temporary, self._texts, imputed)
            return
        columns = {
            name: _filled(self._table.column(name), self.missing[:, place], imputed[:, place])
            for place, name in enumerate(self._names)
        }
        if path.suffix == ".npy":
            save_vectors(path, np.stack([_floats(column) for column in columns.values()], axis=1))
            return
        with atomic_write(path) as temporary:
            self._write(temporary, columns)

    def _write(self, path: Path, columns: dict[str, Any]) -> None:
        from pyarrow import ArrowException, csv, parquet

        table = self._table
        for name, column in columns.items():
            table = table.set_column(table.schema.get_field_index(name), name, column)
        if table.schema.types != self._table.schema.types:
            # pandas would convert a column back to integers if the metadata declare them.
            table = table.replace_schema_metadata()
        try:
            (csv.write_csv if _is_csv(path) else parquet.write_table)(table, path)
        except ArrowException as error:
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise UserError(
                f"The table cannot be written as {path.suffix} ({reason}); give another suffix."
            ) from None

    def _write_texts(self, path: Path, texts: Any, imputed: NDArray[np.float32]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(texts.column_names)
            for start in range(0, len(imputed), _BATCH):
                stop = min(start + _BATCH, len(imputed))
                cells = texts.slice(start, stop - start).to_pydict()
                for row, place in np.argwhere(self.missing[start:stop]):
                    cells[self._names[place]][row] = str(imputed[start + row, place])
                writer.writerows(zip(*cells.values(), strict=True))


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _whole(rows: ArrowRows, limit: int | None) -> Any:
    """Read the first rows of a table, or all, with all columns."""
    import pyarrow

    names, n = rows.schema.names, min(rows.n, limit or rows.n)
    check_unpacked_size(rows, 4 * len(names) * n)
    parts: list[Any] = []
    for batch in rows.batches(names):
        parts.append(batch)
        if sum(map(len, parts)) >= n:
            break
    return pyarrow.Table.from_batches(parts, schema=rows.schema).slice(0, n)


def _filled(column: Any, missing: NDArray[np.bool_], imputed: NDArray[np.float32]) -> Any:
    """Return an incomplete column as floats with imputed values, or a complete one unchanged."""
    import pyarrow
    from pyarrow import types

    if not missing.any():
        return column
    values = np.array(column.to_numpy() if types.is_floating(column.type) else _floats(column))
    _put(values, missing, imputed)
    return pyarrow.array(values)


def _put(values: NDArray[Any], missing: NDArray[np.bool_], imputed: NDArray[np.float32]) -> None:
    # Through decimals, so that 0.1 in float32 becomes 0.1 in float64 and not 0.10000000149.
    values[missing] = imputed[missing].astype(str).astype(values.dtype)


def _floats(column: Any) -> NDArray[Any]:
    """Convert a column to floats, NaN where a value is missing."""
    import pyarrow
    from pyarrow import compute, types

    # pyarrow has no cast from booleans to floats.
    numbers = compute.cast(column, pyarrow.uint8()) if types.is_boolean(column.type) else column
    dtype = pyarrow.float32() if types.is_float32(column.type) else pyarrow.float64()
    try:
        floats: NDArray[Any] = compute.cast(numbers, dtype).to_numpy(zero_copy_only=False)
    except pyarrow.ArrowInvalid:
        raise UserError(
            "An incomplete column has integers that are too large for floats; leave it out."
        ) from None
    return floats
