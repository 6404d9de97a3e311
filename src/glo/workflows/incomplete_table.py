"""Tables with gaps: read as they are, and written again with the gaps filled and nothing else."""

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
from glo.data.readers.arrow import number_columns
from glo.data.readers.arrow_values import ArrowRows, check_unpacked_size, to_float32
from glo.data.readers.npy import open_npy, read_npz_examples
from glo.data.readers.tables import TABLES, read_csv_strings, read_table_file
from glo.data.table_writer import save_vectors
from glo.errors import UserError, printable, require_extra
from glo.utils.files import atomic_write

__all__ = ["IncompleteTable", "open_incomplete_table"]

_ARRAYS = (".npy", ".npz")
_BATCH = 4096


class IncompleteTable(ABC):
    """Rows of numbers with gaps, and whatever stands beside them.

    Attributes:
        what: how messages call it.
        samples: the numbers, float32 (n, F), NaN in the gaps.
        gaps: bool (n, F).
    """

    def __init__(self, values: NDArray[Any], options: SourceOptions, what: str, name: str) -> None:
        rows = convert_rows(infer_layout(values, options, what), None)
        self.what = what
        self.samples = Dataset(rows=rows, name=name)
        self.gaps = np.isnan(rows)

    @abstractmethod
    def save(self, path: Path, made: NDArray[np.float32]) -> None:
        """Write the rows with their gaps filled, whole or not at all.

        Args:
            path: of a .csv, .parquet or .npy file; the last holds the numbers alone.
            made: (n, F), numbers for the gaps; what stands elsewhere is not looked at.

        Raises:
            UserError: what stands beside the numbers cannot be written there.
        """


def open_incomplete_table(source: str, options: SourceOptions) -> IncompleteTable:
    """Open a table that is to be filled.

    Args:
        source: a .csv, .parquet, .npy or .npz file; of the first two, columns may be named as for
            training.
        options: split and limit.

    Raises:
        UserError: it is not there, is of another kind, or cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "animals.csv"
        >>> _ = path.write_text("kind,mass,wing\\nbee,0.1,\\nant,0.25,7\\n")
        >>> sheet = open_incomplete_table(f"{path}?label=kind", SourceOptions())
        >>> sheet.save(path.with_name("filled.csv"), np.array([[5, 6], [7, 8]], np.float32))
        >>> print(path.with_name("filled.csv").read_text())
        kind,mass,wing
        bee,0.1,6.0
        ant,0.25,7
        <BLANKLINE>
    """
    place, choice = split_column_spec(source)
    path = Path(place).expanduser()
    suffix = path.suffix.lower()
    if suffix in TABLES and path.is_file():
        return IncompleteFrame(path, options, choice)
    if suffix not in _ARRAYS or not path.is_file() or choice != NO_COLUMN_SPEC:
        if not path.exists() and place != "mnist" and not place.startswith("hf:"):
            # It says what is not there, and which name is near.
            open_source(place, SourceOptions(limit=1))
        raise UserError(f"{source} is no table; give a .csv, .parquet, .npy or .npz file.")
    if suffix == ".npz":
        values = read_npz_examples(path, options)[0]
    else:
        check_train_split(str(path), options)
        values = open_npy(path)
    return IncompleteArray(
        limit_rows(values, options.limit), options, str(path), printable(path.stem)
    )


@final
class IncompleteArray(IncompleteTable):
    """An array of numbers, (n, F)."""

    def __init__(self, values: NDArray[Any], options: SourceOptions, what: str, name: str) -> None:
        if values.ndim != 2:
            given = " x ".join(map(str, values.shape))
            raise UserError(f"{what} holds an array of {given}; give rows of numbers.")
        super().__init__(values, options, what, name)
        self._values = values

    def save(self, path: Path, made: NDArray[np.float32]) -> None:
        filled = np.array(self._values)
        _put(filled, self.gaps, made)
        save_vectors(path, filled)


@final
class IncompleteFrame(IncompleteTable):
    """A table with columns of numbers, and others that are left as they are."""

    def __init__(self, path: Path, options: SourceOptions, choice: ColumnSpec) -> None:
        require_extra(str(path), "tables", "pyarrow")
        check_train_split(str(path), options)
        rows = read_table_file(path)
        self._names = number_columns(rows, choice)
        self._table = _whole(rows, options.limit)
        # Cells that were known keep their digits where the file that is written has some, too.
        self._texts = read_csv_strings(path, rows.schema.names) if _is_csv(path) else None
        columns = [to_float32(rows, self._table.column(name)) for name in self._names]
        super().__init__(np.stack(columns, axis=1), options, rows.what, rows.name)

    def save(self, path: Path, made: NDArray[np.float32]) -> None:
        if path.suffix == ".npy":
            save_vectors(path, np.stack([_reals(c) for c in self._columns(made)], axis=1))
            return
        with atomic_write(path) as writing:
            if _is_csv(path) and self._texts is not None:
                self._write_texts(writing, made)
            else:
                self._write(writing, made)

    def _columns(self, made: NDArray[np.float32]) -> list[Any]:
        return [
            _filled(self._table.column(name), self.gaps[:, place], made[:, place])
            for place, name in enumerate(self._names)
        ]

    def _write(self, path: Path, made: NDArray[np.float32]) -> None:
        from pyarrow import ArrowException, csv, parquet

        table = self._table
        for name, column in zip(self._names, self._columns(made), strict=True):
            table = table.set_column(table.schema.get_field_index(name), name, column)
        if table.schema.types != self._table.schema.types:
            # pandas would make whole numbers again of a column that its words say has some.
            table = table.replace_schema_metadata()
        try:
            (csv.write_csv if _is_csv(path) else parquet.write_table)(table, path)
        except ArrowException as error:
            told = " ".join(str(error).split())[:200].rstrip(".")
            raise UserError(
                f"The table cannot be written as {path.suffix} ({told}); give another ending."
            ) from None

    def _write_texts(self, path: Path, made: NDArray[np.float32]) -> None:
        assert self._texts is not None, "it was a .csv file"
        names = self._texts.column_names
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            for start in range(0, len(made), _BATCH):
                stop = min(start + _BATCH, len(made))
                cells = self._texts.slice(start, stop - start).to_pydict()
                for row, place in np.argwhere(self.gaps[start:stop]):
                    cells[self._names[place]][row] = str(made[start + row, place])
                writer.writerows(zip(*cells.values(), strict=True))


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _whole(rows: ArrowRows, limit: int | None) -> Any:
    """Return the first rows of a table, or all, with all its columns."""
    import pyarrow

    names, n = rows.schema.names, min(rows.n, limit or rows.n)
    check_unpacked_size(rows, 4 * len(names) * n)
    parts: list[Any] = []
    for batch in rows.batches(names):
        parts.append(batch)
        if sum(map(len, parts)) >= n:
            break
    return pyarrow.Table.from_batches(parts, schema=rows.schema).slice(0, n)


def _filled(column: Any, gaps: NDArray[np.bool_], made: NDArray[np.float32]) -> Any:
    """Return a column with its gaps filled, of real numbers then, else as it is."""
    import pyarrow
    from pyarrow import types

    if not gaps.any():
        return column
    values = np.array(column.to_numpy() if types.is_floating(column.type) else _reals(column))
    _put(values, gaps, made)
    return pyarrow.array(values)


def _put(values: NDArray[Any], gaps: NDArray[np.bool_], made: NDArray[np.float32]) -> None:
    # By way of decimals, so that 0.1 in float32 is 0.1 in float64 and not 0.10000000149.
    values[gaps] = made[gaps].astype(str).astype(values.dtype)


def _reals(column: Any) -> NDArray[Any]:
    """Return a column of numbers as real ones, NaN where one is missing."""
    import pyarrow
    from pyarrow import compute, types

    # There is no straight way from true and false to real numbers.
    plain = compute.cast(column, pyarrow.uint8()) if types.is_boolean(column.type) else column
    kind = pyarrow.float32() if types.is_float32(column.type) else pyarrow.float64()
    try:
        found: NDArray[Any] = compute.cast(plain, kind).to_numpy(zero_copy_only=False)
    except pyarrow.ArrowInvalid:
        raise UserError(
            "The table has whole numbers that are too large for real ones, beside gaps; leave "
            "their column out."
        ) from None
    return found
