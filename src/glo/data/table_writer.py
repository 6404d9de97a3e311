"""Writers of codes and vectors as tables: .csv, .parquet and .npy files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserError, require_extra
from glo.utils.files import atomic_write

__all__ = ["check_table", "save_vectors", "write_rows"]

_SUFFIXES = (".csv", ".parquet", ".npy")
_MAX_PARQUET_BYTES = 8  # of one number


def write_rows(
    path: Path, columns: Mapping[str, Sequence[Any]], *, codes: Tensor, examples: Tensor
) -> Path:
    """Write columns, codes z0, z1, ... (n, D) and examples x0, x1, ... (n, F) to a .csv file."""
    numbered = _numbered("z", codes.numpy()) | _numbered("x", examples.numpy())
    with atomic_write(path) as temporary:
        _write_csv(temporary, {**columns, **numbered})
    return path


def check_table(path: Path, why: str) -> None:
    """Check that vectors can be written to a file of that name; `why` ends the message."""
    if path.suffix not in _SUFFIXES or path.is_dir():
        raise UserError(
            f"--out is {path}; it must be a file that ends in .csv, .parquet or .npy, as {why}."
        )
    if path.suffix == ".parquet":
        require_extra(f"{path}", "tables", "pyarrow")


def save_vectors(path: Path, vectors: NDArray[Any]) -> None:
    """Write vectors (n, F), in a table columns x0, x1, ..., atomically to a `check_table` path."""
    with atomic_write(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, vectors, allow_pickle=False)
        elif path.suffix == ".csv":
            _write_csv(temporary, _numbered("x", vectors))
        else:
            _write_parquet(temporary, vectors)


def _write_parquet(path: Path, vectors: NDArray[Any]) -> None:
    import pyarrow
    from pyarrow import parquet

    native = vectors.astype(vectors.dtype.newbyteorder("="), copy=False)
    if native.dtype.itemsize > _MAX_PARQUET_BYTES:
        raise UserError(
            f"Numbers of {native.dtype} cannot be written as .parquet; give a file that ends in "
            f".npy or .csv."
        )
    columns = {f"x{number}": column for number, column in enumerate(native.T)}
    parquet.write_table(pyarrow.table(columns), path)


def _numbered(letter: str, values: NDArray[Any]) -> dict[str, Sequence[Any]]:
    # NumPy's scalars print the fewest digits that identify a float32.
    return {f"{letter}{number}": list(column) for number, column in enumerate(values.T)}


def _write_csv(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
