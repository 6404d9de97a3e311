"""Codes as a table."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from glo.files import replacing

__all__ = ["write_rows"]


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
        # NumPy's own scalars print as few digits as tell a float32 from any other.
        columns |= {
            f"{letter}{place}": list(column) for place, column in enumerate(values.T.numpy())
        }
    with replacing(path) as writing, writing.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path
