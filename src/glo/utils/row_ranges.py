"""Text form of row numbers, '3,17,40-49'."""

import re

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["check_row", "evenly_spaced", "parse_range", "parse_rows", "rows_text"]

# Python refuses to parse integers of thousands of digits.
_PART = re.compile(r"(\d{1,99})(?:-(\d{1,99}))?")


def parse_rows(text: str, n: int) -> Tensor:
    """Parse row numbers and ranges, as '3,17,40-49', into rising, unique rows, int64 (m,).

    Raises:
        UserError: the text has another form, or a row is not one of the `n` rows.
    """
    mask = torch.zeros(n, dtype=torch.bool)
    for part in text.replace(",", " ").split():
        rows = parse_range(part, n)
        mask[rows.start : rows.stop] = True
    return mask.nonzero().flatten()


def parse_range(part: str, n: int) -> range:
    """Parse one row number or range, such as '40-49', of `n` rows; see `parse_rows`."""
    match = _PART.fullmatch(part)
    if match is None:
        raise UserError(
            f"'{part}' is no row number and no range of them; write them like 3,17,40-49."
        )
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise UserError(f"The range {part} ends before it begins; write the smaller row first.")
    check_row(last, n)
    return range(first, last + 1)


def check_row(row: int, n: int) -> None:
    """Raise UserError unless `row` is one of `n` rows."""
    if not 0 <= row < n:
        raise UserError(
            f"Row {row:,} is not there: the rows are 0 to {n - 1:,}; give numbers from these."
        )


def rows_text(rows: Tensor) -> str:
    """Format rising row numbers, int64 (m,), for `parse_rows`."""
    runs: list[list[int]] = []
    for row in rows.tolist():
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


@with_torch_defaults
def evenly_spaced(n: int, count: int) -> Tensor:
    """Return `count` row numbers from 0 to n - 1, evenly spaced, int64."""
    # float32 could round the last of more than 2^24 rows to one that does not exist.
    return torch.linspace(0, n - 1, count, dtype=torch.float64).round().long()
