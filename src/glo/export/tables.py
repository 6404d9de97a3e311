"""The codes of a run as a table of other programs, and codes from such a table."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glo.errors import UserError, require_extra
from glo.runs.run import Run
from glo.utils.files import atomic_write

__all__ = ["codes_of", "codes_table", "read_codes", "save_codes"]


def codes_table(run: Run) -> Any:
    """Return the codes of all training examples as an Arrow table; `.to_pandas()` makes a frame.

    Columns: `row`, the number of the example; `label` where the data had labels, by name where they
    have names, null where there is none; `error`, its squared error, where the run kept them;
    `z0`, `z1`, ..., the code.

    Args:
        run: with a checkpoint.

    Returns:
        pyarrow.Table of N rows.

    Raises:
        UserError: there is no checkpoint, or pyarrow is not installed.

    Example:
        >>> frame = codes_table(open_run("runs/mnist")).to_pandas()  # doctest: +SKIP
        >>> frame.groupby("label").error.mean()  # doctest: +SKIP
    """
    require_extra("A table of codes", "tables", "pyarrow")
    import pyarrow

    codes = run.codes
    columns: dict[str, Any] = {"row": pyarrow.array(np.arange(len(codes)))}
    if run.labels is not None:
        columns["label"] = _label_column(run.labels, run.label_names)
    if run.errors is not None:
        columns["error"] = pyarrow.array(run.errors.numpy())
    columns |= {f"z{place}": pyarrow.array(z.numpy()) for place, z in enumerate(codes.unbind(1))}
    return pyarrow.table(columns)


def save_codes(run: Run, path: Path) -> int:
    """Write `codes_table` as a .parquet or .csv file, whole or not at all.

    Returns:
        how many rows there are.

    Raises:
        UserError: the name ends otherwise, or pyarrow is not installed.
    """
    if path.suffix not in (".parquet", ".csv") or path.is_dir():
        raise UserError(f"Codes go into {path}; give a file that ends in .parquet or .csv.")
    table = codes_table(run)
    from pyarrow import csv, parquet

    with atomic_write(path) as writing:
        if path.suffix == ".csv":
            csv.write_csv(table, writing)
        else:
            parquet.write_table(table, writing)
    return len(table)


def codes_of(table: Any) -> Tensor:
    """Return the columns z0, z1, ... of a table, in the order of their numbers.

    Args:
        table: a data frame of pandas or polars, or an Arrow table.

    Returns:
        float32 (n, D).

    Raises:
        UserError: there are no such columns or some are missing, or a value is.

    Example:
        >>> import pandas
        >>> codes_of(pandas.DataFrame({"z1": [2.0], "name": ["a"], "z0": [1.0]}))
        tensor([[1., 2.]])
    """
    require_extra("A table of codes", "tables", "pyarrow")
    import pyarrow

    found = pyarrow.table(table)
    dim = sum(name[:1] == "z" and name[1:].isdecimal() for name in found.column_names)
    names = [f"z{place}" for place in range(dim)]
    lacking = [name for name in names if name not in found.column_names]
    if lacking or not names:
        raise UserError(
            f"The table has columns {', '.join(found.column_names)}, but no "
            f"{lacking[0] if lacking else 'z0'}; give codes as columns z0, z1, and so on."
        )
    values = [np.asarray(found.column(name).to_numpy(), np.float32) for name in names]
    codes = torch.from_numpy(np.stack(values, axis=1))
    if not bool(torch.isfinite(codes).all()):
        raise UserError("The table lacks numbers among its codes; leave out rows that have none.")
    return codes


def read_codes(path: str | Path) -> Tensor:
    """Return the codes of a .parquet or .csv file, float32 (n, D); see `codes_of`.

    Raises:
        UserError: it cannot be read, or holds no codes.

    Example:
        >>> run = open_run("runs/mnist")  # doctest: +SKIP
        >>> codes = read_codes("mine.csv")  # doctest: +SKIP
        >>> decode(run.decoder, codes, run.settings.precision).shape  # doctest: +SKIP
        torch.Size([12, 1, 32, 32])
    """
    require_extra("A table of codes", "tables", "pyarrow")
    from pyarrow import ArrowException, csv, parquet

    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise UserError(f"{path} is no table of codes; give a .parquet or .csv file.")
    try:
        table = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
    except (ArrowException, OSError) as error:
        told = " ".join(str(error).split())[:200].rstrip(".")
        raise UserError(f"{path} cannot be read as a table ({told}); check it.") from None
    return codes_of(table)


def _label_column(labels: Tensor, names: tuple[str, ...]) -> Any:
    import pyarrow

    numbers = [None if number < 0 else number for number in labels.tolist()]
    if not names:
        return pyarrow.array(numbers)
    indices = pyarrow.array(numbers, pyarrow.int32())
    return pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(names))
