"""Writers of codes and vectors as tables: .csv, .tsv, .parquet and .npy files."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserError, require_extra
from glo.utils.files import atomic_write

__all__ = ["check_table", "save_vectors", "write_columns", "write_rows"]

_SUFFIXES = (".csv", ".tsv", ".parquet", ".npy")
_MAX_PARQUET_BYTES = 8  # of one number


def write_rows(
    path: Path,
    columns: Mapping[str, Sequence[Any]],
    *,
    codes: Tensor,
    examples: Tensor,
    names: Sequence[str] = (),
) -> Path:
    """Write columns, codes z0, z1, ... (n, D) and examples (n, F) to a .csv file.

    The examples have columns of `names`, or x0, x1, ... without names.
    """
    names = names if examples.shape[1] else ()
    table: dict[str, Iterable[Any]] = {**columns, **_named("z", codes.numpy())}
    examples_by_name = _named("x", examples.numpy(), names)
    clash = table.keys() & examples_by_name.keys()
    table |= {f"x.{n}" if n in clash else n: v for n, v in examples_by_name.items()}
    write_columns(path, table)
    return path


def write_columns(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    """Write columns by name to a .csv file atomically; None is an empty cell."""
    with atomic_write(path) as temporary:
        _write_csv(temporary, columns)


def check_table(path: Path, why: str) -> None:
    """Check that vectors can be written to a file of that name; `why` ends the message."""
    if path.suffix not in _SUFFIXES or path.is_dir():
        raise UserError(
            f"--out is {path}; it must be a file that ends in {', '.join(_SUFFIXES[:-1])} or "
            f"{_SUFFIXES[-1]}, as {why}."
        )
    if path.suffix == ".parquet":
        require_extra(f"{path}", "tables", "pyarrow")


def save_vectors(path: Path, vectors: NDArray[Any], names: Sequence[str] = ()) -> None:
    """Write vectors (n, F) atomically to a `check_table` path.

    Args:
        names: F names of the columns of a table; none: x0, x1, ....
    """
    columns = _named("x", vectors, names)
    with atomic_write(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, vectors, allow_pickle=False)
        elif path.suffix == ".parquet":
            _write_parquet(temporary, columns)
        else:
            _write_csv(temporary, columns, "\t" if path.suffix == ".tsv" else ",")


def _named(letter: str, values: NDArray[Any], names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    names = names or [f"{letter}{number}" for number in range(values.shape[1])]
    return dict(zip(names, values.T, strict=True))


def _write_parquet(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    native = {n: v.astype(v.dtype.newbyteorder("="), copy=False) for n, v in columns.items()}
    for values in native.values():
        if values.dtype.itemsize > _MAX_PARQUET_BYTES:
            raise UserError(
                f"Numbers of {values.dtype} cannot be written as .parquet; give a file that ends "
                f"in .npy or .csv."
            )
    parquet.write_table(pyarrow.table(native), path)


def _write_csv(path: Path, columns: Mapping[str, Iterable[Any]], separator: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerow(columns)
        # NumPy's scalars print the fewest digits that identify a float32.
        writer.writerows(zip(*map(list, columns.values()), strict=True))
