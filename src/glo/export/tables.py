"""Tables of codes: a run's codes for pandas, polars and Arrow, and codes from such tables."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glo.data.table_writer import write_columns
from glo.errors import UserError, require_extra
from glo.runs.run import Run
from glo.utils.files import atomic_write

__all__ = ["codes_from_table", "codes_table", "read_codes", "save_codes"]

_SUFFIXES = (".parquet", ".csv")


def codes_table(run: Run, rows: Tensor | None = None) -> Any:
    """Return the codes of training examples as a pyarrow.Table; `.to_pandas()` converts it.

    Args:
        rows: int64 (m,), row numbers in the order of the table; None: all N.

    Columns: `row`, the number of the example; `id`, its identity in the data, such as the path of
    its file, unless that is its number; `label` if the data have labels, the name of
    the class, null for an example without one; `error`, its squared error, if recorded;
    `z0`, `z1`, ..., the code.
    """
    require_extra("A table of codes", "tables", "pyarrow")
    import pyarrow

    columns, labels = _columns(run, rows), run.labels
    arrays = {name: pyarrow.array(values) for name, values in columns.items()}
    if labels is not None:
        chosen = labels if rows is None else labels[rows]
        numbers = pyarrow.array([None if each < 0 else each for each in chosen.tolist()], "int32")
        classes = pyarrow.array(run.label_names)
        arrays["label"] = pyarrow.DictionaryArray.from_arrays(numbers, classes)
    return pyarrow.table(arrays)


def _columns(run: Run, rows: Tensor | None) -> dict[str, Any]:
    """Return the columns of `codes_table` as arrays and lists."""
    rows = torch.arange(len(run.codes)) if rows is None else rows
    columns: dict[str, Any] = {"row": rows.numpy()}
    if run.row_ids.ids is not None:
        columns["id"] = [run.row_ids.of(row) for row in rows.tolist()]
    if run.labels is not None:
        names = (*run.label_names, None)
        columns["label"] = [names[max(number, -1)] for number in run.labels[rows].tolist()]
    if run.errors is not None:
        columns["error"] = run.errors[rows].numpy()
    return columns | {f"z{i}": each.numpy() for i, each in enumerate(run.codes[rows].unbind(1))}


def save_codes(run: Run, path: Path, rows: Tensor | None = None) -> int:
    """Write `codes_table` to a .parquet or .csv file atomically, and return the number of rows.

    Args:
        run: finished run.
        path: path of the file.
        rows: int64 (m,), row numbers in the order of the table; None: all N.

    Raises:
        UserError: the file name has another ending, or pyarrow, which writes .parquet files, is
            not installed.
    """
    if path.suffix not in _SUFFIXES or path.is_dir():
        raise UserError(f"Codes go into {path}; give a file that ends in .parquet or .csv.")
    if path.suffix == ".csv":
        columns = _columns(run, rows)
        write_columns(path, columns)
        return len(columns["row"])
    table = codes_table(run, rows)
    from pyarrow import parquet

    with atomic_write(path) as temporary:
        parquet.write_table(table, temporary)
    return len(table)


def codes_from_table(table: Any) -> Tensor:
    """Return columns z0, z1, ... of a pandas, polars or Arrow table: codes, float32 (n, D).

    Example:
        >>> import pandas
        >>> codes_from_table(pandas.DataFrame({"z1": [2.0], "name": ["a"], "z0": [1.0]}))
        tensor([[1., 2.]])
    """
    require_extra("A table of codes", "tables", "pyarrow")
    import pyarrow

    table = pyarrow.table(table)
    dim = sum(name[:1] == "z" and name[1:].isdecimal() for name in table.column_names)
    names = [f"z{i}" for i in range(max(dim, 1))]
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise UserError(
            f"The table has columns {', '.join(table.column_names)}, but no {missing[0]}; give "
            f"codes as columns z0, z1, and so on."
        )
    values = [np.asarray(table.column(name).to_numpy(), np.float32) for name in names]
    codes = torch.from_numpy(np.stack(values, axis=1))
    if not bool(torch.isfinite(codes).all()):
        raise UserError("The table lacks numbers among its codes; leave out rows without a code.")
    return codes


def read_codes(path: str | Path) -> Tensor:
    """Read the codes of a .parquet or .csv file, float32 (n, D); see `codes_from_table`."""
    require_extra("A table of codes", "tables", "pyarrow")
    from pyarrow import ArrowException, csv, parquet

    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise UserError(f"{path} is not a table of codes; give a .parquet or .csv file.")
    try:
        table = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
    except (ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise UserError(f"{path} cannot be read as a table ({reason}); check it.") from None
    return codes_from_table(table)
