"""Identities of the rows of a run: file paths, index values or row numbers of their source."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.storage import IDS_FILE, read_ids, to_ids, write_ids
from glo.errors import MAX_LISTED, UserError, suggest
from glo.utils.row_ranges import parse_range

__all__ = ["RowIds"]

_INTEGER = re.compile(r"-?\d{1,99}")
_RANGE = re.compile(r"-?\d+(-\d+)?")
_NUMBERS = re.compile(r"[\s\d-]+")
_MAX_CHOICES = 10_000


@final
class RowIds:
    """Identities of N rows; without `ids` the row numbers.

    Args:
        ids: (N,), row numbers in the source (int) or other identities (str); None: 0, 1, ....
        n: N.
        settled: number of the first rows whose numbers are those of the training; None: N. Later
            rows moved up when rows were removed, so a bare number is not clear for them.

    Example:
        >>> rows = RowIds(np.array(["a.png", "c.png"], dtype=object), 2)
        >>> rows.of(1), rows.find("c.png"), rows.parse("a.png, 1")
        ('c.png', 1, tensor([0, 1]))
    """

    def __init__(self, ids: NDArray[Any] | None, n: int, *, settled: int | None = None) -> None:
        self.ids = ids
        self.n = n
        self.settled = n if settled is None else settled

    @classmethod
    def read(cls, folder: Path, n: int, *, settled: int | None = None) -> Self:
        """Read the identities of a run folder of `n` rows.

        Raises:
            UserError: the file is damaged or has another number of rows.
        """
        path = folder / IDS_FILE
        ids = read_ids(path) if path.exists() else None
        if ids is not None and len(ids) != n:
            raise UserError(
                f"{path} has {len(ids):,} rows, but config.toml has {n:,}; copy the run again."
            )
        return cls(ids, n, settled=settled)

    def write(self, folder: Path) -> None:
        """Write the identities to a run folder, unless they are the row numbers."""
        if self.ids is not None:
            write_ids(folder / IDS_FILE, self.ids)

    def subset(self, rows: Tensor) -> "RowIds":
        """Return the identities of some rows, int64 (m,)."""
        return RowIds(self._values[rows.numpy()], len(rows))

    def joined(self, others: "RowIds") -> "RowIds":
        """Return the identities with those of appended rows."""
        values = [*self._values.tolist(), *others._values.tolist()]
        n = len(values)
        return RowIds(None if self.ids is None and values == [*range(n)] else to_ids(values), n)

    def named(self, source: str) -> "RowIds":
        """Return names for row numbers of another source, such as 'new[3]'."""
        values = self._values.tolist()
        names = [v if isinstance(v, str) else f"{source}[{v}]" for v in values]
        return RowIds(to_ids(names), self.n)

    def without(self, others: "RowIds", names: Sequence[str] = ()) -> "RowIds":
        """Return identities that differ from those of other rows and from each other.

        Args:
            others: identities of the other rows.
            names: (N,), the identity of a row in place of one that is taken; empty: the same. Where
                it is taken, too, a number follows, as in 'new/1.png (2)'.
        """
        taken, free = set(others.names), []
        for name, longer in zip(self.names, names or self.names, strict=True):
            free.append(_free(name, longer, taken))
            taken.add(free[-1])
        return RowIds(to_ids(free), self.n)

    @property
    def _values(self) -> NDArray[Any]:
        return np.arange(self.n) if self.ids is None else self.ids

    @property
    def names(self) -> list[str]:
        """The identity of each row."""
        return [str(value) for value in self._values.tolist()]

    @property
    def are_names(self) -> bool:
        """Whether a row has an identity other than its number."""
        return self.ids is not None

    def of(self, row: int) -> str:
        """Return the identity of a row."""
        return str(row if self.ids is None else self.ids[row])

    def describe(self, rows: Sequence[int]) -> str:
        """Return the numbers and identities of rows, such as 'row 5 (person6.png)'."""
        first = [f"{row:,} ({self.of(row)})" if self.are_names else f"{row:,}" for row in rows[:8]]
        more = f" and {len(rows) - MAX_LISTED:,} more" if len(rows) > MAX_LISTED else ""
        return f"row{'s' * (len(rows) > 1)} {', '.join(first)}{more}"

    def __contains__(self, text: str) -> bool:
        """Return whether a text is the identity of a row, other than its number."""
        return text in self._first_of

    def find(self, text: str) -> int:
        """Return the row of an identity or a row number; "id:" or "row:" in front states which.

        Raises:
            UserError: there is no such row, or more than one, or it is not clear which.
        """
        rows = self._rows(text)
        if len(rows) == 1:
            return rows[0]
        raise UserError(f"'{text}' is {len(rows)} rows; give one of them, such as row:{rows[0]}.")

    def parse(self, text: str) -> Tensor:
        """Parse identities, row numbers and ranges, such as 'a.png,3,40-49', one a line or between
        commas, into rising, unique rows, int64 (m,).

        Raises:
            UserError: a part is no row, or it is not clear which.
        """
        rows: list[int] = []
        for part in [text] if self._is_identity(text) else self._parts(text):
            rows += self._rows(part)
        return torch.tensor(sorted(set(rows)), dtype=torch.int64)

    def _parts(self, text: str) -> list[str]:
        parts: list[str] = []
        for line in text.splitlines():
            if self._is_identity(line) or self._is_identity(line.strip()):
                parts.append(line if self._is_identity(line) else line.strip())
            # Numbers may have blanks between them, names of files may contain them.
            elif _NUMBERS.fullmatch(line.replace(",", " ")):
                parts += line.replace(",", " ").split()
            else:
                parts += filter(None, map(str.strip, line.split(",")))
        return parts

    def _is_identity(self, text: str) -> bool:
        return text in self or text.removeprefix("id:") in self

    @cached_property
    def _first_of(self) -> dict[str, int]:
        """The first row of each identity."""
        if self.ids is None:
            return {}
        return {str(name): row for row, name in reversed([*enumerate(self.ids.tolist())])}

    @cached_property
    def _repeated(self) -> dict[str, list[int]]:
        """All rows of each identity that several rows have."""
        rows: dict[str, list[int]] = {}
        if len(self._first_of) < self.n and self.ids is not None:
            for row, name in enumerate(map(str, self.ids.tolist())):
                if self._first_of[name] != row:
                    rows.setdefault(name, [self._first_of[name]]).append(row)
        return rows

    def _named(self, name: str) -> list[int]:
        row = self._first_of.get(name)
        return [] if row is None else self._repeated.get(name, [row])

    def _rows(self, text: str) -> list[int]:
        kind, _, name = text.partition(":")
        if kind == "row" and _RANGE.fullmatch(name):
            return [*parse_range(name, self.n)]
        if kind == "id" and (name in self or text not in self):
            return self._identified(name)
        named = self._named(text)
        if _RANGE.fullmatch(text) is None:
            return named or self._refuse(text)
        try:
            numbered = [*parse_range(text, self.n)]
        except UserError:
            if not named:
                raise
            return named
        # Rows that moved up would be taken for those that had their numbers before.
        if named != numbered and (named or self._moved(numbered)):
            raise UserError(
                f"'{text}' may be a row number, which now means {self.describe(numbered)}, or an "
                f"identity; write row:{text}, or an identity, such as id:{self.of(numbered[0])}."
            )
        return numbered

    def _identified(self, name: str) -> list[int]:
        if self.ids is None and _RANGE.fullmatch(name):
            return [*parse_range(name, self.n)]
        first, dash, last = name.partition("-")
        if name not in self and dash and first.isdigit() and last.isdigit():
            # A range of row numbers of the source, some of which may be removed.
            low, high = int(first), int(last)
            values = enumerate(self._values.tolist())
            rows = [row for row, v in values if type(v) is int and low <= v <= high]
            return rows or self._refuse(name)
        return self._named(name) or self._refuse(name)

    @cached_property
    def _has_other_numbers(self) -> bool:
        """Whether a row has an identity that is a number, but not its own."""
        ids = enumerate(() if self.ids is None else self.names)
        return any(_INTEGER.fullmatch(name) is not None and int(name) != row for row, name in ids)

    def _moved(self, rows: list[int]) -> bool:
        if rows[-1] >= self.settled:
            return True
        return self._has_other_numbers and any(self.of(row) != str(row) for row in rows)

    def _refuse(self, text: str) -> list[int]:
        names = () if self.ids is None else self.names[:_MAX_CHOICES]
        known = f"0 to {self.n - 1:,}" if self.ids is None else f"such as {self.of(0)}"
        raise UserError(
            f"No row is '{text}'; give row numbers and ranges, such as 3,17,40-49, or identities of"
            f" rows, {known}.{suggest(text, names)}"
        )


def _free(name: str, longer: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number, free = 1, longer
    while free in taken:
        number += 1
        free = f"{longer} ({number})"
    return free
