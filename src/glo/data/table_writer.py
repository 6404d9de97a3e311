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
    """Write a .csv file with a row for each code atomically, and return its path.

    Args:
        path: path of the file.
        columns: the first columns, n values each.
        codes: (n, D), columns z0, z1, ...
        examples: (n, F), columns x0, x1, ...; F may be 0.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "walk.csv"
        >>> values = {"codes": torch.tensor([[0.1, 2.0]]), "examples": torch.tensor([[7.0]])}
        >>> print(write_rows(path, {"step": [0]}, **values).read_text())
        step,z0,z1,x0
        0,0.1,2.0,7.0
        <BLANKLINE>
    """
    numbered = _numbered("z", codes.numpy()) | _numbered("x", examples.numpy())
    with atomic_write(path) as temporary:
        _write_csv(temporary, {**columns, **numbered})
    return path


def check_table(path: Path, why: str) -> None:
    """Check that vectors can be written to a file of that name.

    Args:
        path: path of the file.
        why: reason for a table, the end of the message.

    Raises:
        UserError: the suffix is unknown, or a library is missing.

    Example:
        >>> check_table(Path("a.txt"), "the samples are vectors")
        Traceback (most recent call last):
        glo.errors.UserError: --out is a.txt; it must be a file that ends in .csv, .parquet or \
.npy, as the samples are vectors.
    """
    if path.suffix not in _SUFFIXES or path.is_dir():
        raise UserError(
            f"--out is {path}; it must be a file that ends in .csv, .parquet or .npy, as {why}."
        )
    if path.suffix == ".parquet":
        require_extra(f"{path}", "tables", "pyarrow")


def save_vectors(path: Path, vectors: NDArray[Any]) -> None:
    """Write vectors as a .csv, .parquet or .npy file atomically.

    Args:
        path: path of the file, as for `check_table`.
        vectors: (n, F) real numbers; in a table they are columns x0, x1, ...

    Raises:
        UserError: the numbers have more bytes than .parquet files allow.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "samples.csv"
        >>> save_vectors(path, np.array([[0.1, 2.0]], np.float32))
        >>> print(path.read_text())
        x0,x1
        0.1,2.0
        <BLANKLINE>
    """
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
