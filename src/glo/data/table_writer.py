"""Codes and vectors as tables."""

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

_VECTORS = (".csv", ".parquet", ".npy")
# Bytes of a number in a .parquet file.
_LONGEST = 8


def write_rows(
    path: Path, about: Mapping[str, Sequence[Any]], *, codes: Tensor, examples: Tensor
) -> Path:
    """Write a .csv file with a row for each code, whole or not at all, and return its path.

    Args:
        path: of the file.
        about: the first columns, n values each.
        codes: (n, D), columns z0, z1, ...
        examples: (n, F), columns x0, x1, ...; F may be 0.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "walk.csv"
        >>> some = {"codes": torch.tensor([[0.1, 2.0]]), "examples": torch.tensor([[7.0]])}
        >>> print(write_rows(path, {"step": [0]}, **some).read_text())
        step,z0,z1,x0
        0,0.1,2.0,7.0
        <BLANKLINE>
    """
    columns: dict[str, Sequence[Any]] = dict(about)
    for letter, values in (("z", codes), ("x", examples)):
        columns |= _numbered(letter, values.numpy())
    with atomic_write(path) as writing:
        _write_csv(writing, columns)
    return path


def check_table(path: Path, why: str) -> None:
    """Check that vectors can be written to a file of that name.

    Args:
        path: of the file.
        why: they are written there, the end of the sentence.

    Raises:
        UserError: its ending is none that is known, or a library is missing.

    Example:
        >>> check_table(Path("a.txt"), "the samples are vectors")
        Traceback (most recent call last):
        glo.errors.UserError: --out is a.txt; it must be a file that ends in .csv, .parquet or \
.npy, as the samples are vectors.
    """
    if path.suffix not in _VECTORS or path.is_dir():
        raise UserError(
            f"--out is {path}; it must be a file that ends in .csv, .parquet or .npy, as {why}."
        )
    if path.suffix == ".parquet":
        require_extra(f"{path}", "tables", "pyarrow")


def save_vectors(path: Path, vectors: NDArray[Any]) -> None:
    """Write vectors as a .csv, .parquet or .npy file, whole or not at all.

    Args:
        path: of the file, as for `check_table`.
        vectors: (n, F) real numbers; in a table they are columns x0, x1, ...

    Raises:
        UserError: the numbers are longer than those of .parquet files.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "made.csv"
        >>> save_vectors(path, np.array([[0.1, 2.0]], np.float32))
        >>> print(path.read_text())
        x0,x1
        0.1,2.0
        <BLANKLINE>
    """
    with atomic_write(path) as writing:
        if path.suffix == ".npy":
            np.save(writing, vectors, allow_pickle=False)
        elif path.suffix == ".csv":
            _write_csv(writing, _numbered("x", vectors))
        else:
            _write_parquet(writing, vectors)


def _write_parquet(path: Path, vectors: NDArray[Any]) -> None:
    import pyarrow
    from pyarrow import parquet

    native = vectors.astype(vectors.dtype.newbyteorder("="), copy=False)
    if native.dtype.itemsize > _LONGEST:
        raise UserError(
            f"Numbers of {native.dtype} cannot be written as .parquet; give a file that ends in "
            f".npy or .csv."
        )
    columns = {f"x{place}": column for place, column in enumerate(native.T)}
    parquet.write_table(pyarrow.table(columns), path)


def _numbered(letter: str, values: NDArray[Any]) -> dict[str, Sequence[Any]]:
    # NumPy's own scalars print as few digits as tell a float32 from any other.
    return {f"{letter}{place}": list(column) for place, column in enumerate(values.T)}


def _write_csv(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
