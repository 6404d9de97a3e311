"""Row numbers as people write them: '3,17,40-49'."""

import re

import torch
from torch import Tensor

from glo.errors import UserError

__all__ = ["check_row", "evenly_spaced", "parse_rows", "rows_text"]

# Python reads numbers of thousands of digits not at all; no row has one.
_PART = re.compile(r"(\d{1,99})(?:-(\d{1,99}))?")


def parse_rows(text: str, n: int) -> Tensor:
    """Return the rows that a text names, rising and each once.

    Args:
        text: numbers from 0 and ranges, both ends of which count, with commas or white space
            between.
        n: how many rows there are.

    Returns:
        int64 (m,).

    Raises:
        UserError: something else is in the text, or a row that is not there.

    Example:
        >>> parse_rows("7, 2-4 3", 10)
        tensor([2, 3, 4, 7])
        >>> parse_rows("2-12", 10)
        Traceback (most recent call last):
        glo.errors.UserError: Row 12 is not there: the rows are 0 to 9; give numbers from these.
    """
    chosen = torch.zeros(n, dtype=torch.bool)
    for part in text.replace(",", " ").split():
        found = _PART.fullmatch(part)
        if found is None:
            raise UserError(
                f"'{part}' is no row number and no range of them; write them like 3,17,40-49."
            )
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UserError(f"The range {part} ends before it begins; write the smaller row first.")
        check_row(last, n)
        chosen[first : last + 1] = True
    return chosen.nonzero().flatten()


def check_row(row: int, n: int) -> None:
    """Raise UserError unless `row` is one of `n` rows."""
    if not 0 <= row < n:
        raise UserError(
            f"Row {row:,} is not there: the rows are 0 to {n - 1:,}; give numbers from these."
        )


def rows_text(rows: Tensor) -> str:
    """Return rising row numbers as a text that `parse_rows` reads.

    Args:
        rows: int64 (m,), rising.

    Example:
        >>> rows_text(torch.tensor([3, 17, 40, 41, 42]))
        '3,17,40-42'
    """
    runs: list[list[int]] = []
    for row in rows.tolist():
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def evenly_spaced(n: int, count: int) -> Tensor:
    """Return `count` row numbers from 0 to n - 1, evenly spaced, int64.

    Example:
        >>> evenly_spaced(9, 3)
        tensor([0, 4, 8])
    """
    # In float32 the last of more than 2^24 rows could round to one that is not there.
    return torch.linspace(0, n - 1, count, dtype=torch.float64).round().long()
