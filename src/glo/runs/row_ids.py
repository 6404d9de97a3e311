"""Identities of the rows of a run: file paths, index values or row numbers of their source."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.storage import IDS_FILE, join_ids, read_ids, to_ids, write_ids
from glo.errors import MAX_LISTED, UserError, printable, suggest
from glo.utils.row_ranges import parse_range

__all__ = ["RowIds"]

_INTEGER = re.compile(r"-?\d{1,99}")
_RANGE = re.compile(r"-?\d+(-\d+)?")
_NUMBERS = re.compile(r"[\s\d,-]+")
_MAX_CHOICES = 10_000


@final
@dataclass(frozen=True, eq=False)
class RowIds:
    """Identities of N rows; without `ids` the row numbers.

    They are shown and looked up in printable form, as file names may have any bytes.

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

    ids: NDArray[Any] | None
    n: int
    settled: int | None = None

    @classmethod
    def read(cls, folder: Path, n: int, *, settled: int | None = None) -> Self:
        """Read the identities of a run folder, or raise UserError if they are damaged or not n."""
        path = folder / IDS_FILE
        ids = read_ids(path) if path.exists() else None
        if ids is not None and len(ids) != n:
            raise UserError(
                f"{path} has {len(ids):,} rows, but config.toml has {n:,}; copy the run again."
            )
        return cls(ids, n, settled)

    def write(self, folder: Path) -> None:
        """Write the identities to a run folder, unless they are the row numbers."""
        if self.ids is not None:
            write_ids(folder / IDS_FILE, self.ids)

    def subset(self, rows: Tensor) -> "RowIds":
        """Return the identities of some rows, int64 (m,)."""
        return RowIds(self._values[rows.numpy()], len(rows))

    def joined(self, others: "RowIds") -> "RowIds":
        """Return the identities with those of appended rows."""
        values = join_ids([self._values, others._values])
        is_plain = self.ids is None and np.array_equal(values, np.arange(len(values)))
        return RowIds(None if is_plain else values, len(values))

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
        taken = dict.fromkeys(others.names)
        numbers: dict[str, int] = {}
        for name, longer in zip(self.names, names or self.names, strict=True):
            free = longer if name in taken else name
            while free in taken:
                # Lower numbers stay taken.
                numbers[longer] = numbers.get(longer, 1) + 1
                free = f"{longer} ({numbers[longer]})"
            taken[free] = None
        return RowIds(to_ids([*taken][-self.n :]), self.n)

    @property
    def _values(self) -> NDArray[Any]:
        return np.arange(self.n) if self.ids is None else self.ids

    @property
    def names(self) -> list[str]:
        """The identity of each row."""
        return [printable(str(value)) for value in self._values.tolist()]

    def of(self, row: int) -> str:
        """Return the identity of a row."""
        return printable(str(row if self.ids is None else self.ids[row]))

    def describe(self, rows: Sequence[int]) -> str:
        """Return the numbers and identities of rows, such as 'row 5 (person6.png)'."""
        first = [
            f"{r:,}" if self.ids is None else f"{r:,} ({self.of(r)})" for r in rows[:MAX_LISTED]
        ]
        more = f" and {len(rows) - MAX_LISTED:,} more" if len(rows) > MAX_LISTED else ""
        return f"row{'s' * (len(rows) > 1)} {', '.join(first)}{more}"

    def __contains__(self, text: str) -> bool:
        """Return whether a text is the identity of a row, other than its number."""
        return printable(text) in self._rows_of

    def find(self, text: str) -> int:
        """Return the row of an identity or a row number; "id:" or "row:" in front states which.

        Without exactly one such row a UserError is raised.
        """
        rows = self._rows(text)
        if len(rows) == 1:
            return rows[0]
        raise UserError(f"'{text}' is {len(rows)} rows; give one of them, such as row:{rows[0]}.")

    def parse(self, text: str) -> Tensor:
        """Parse identities, row numbers and ranges, such as 'a.png,3,40-49', one a line or between
        commas, into unique rows in their order, int64 (m,), or raise UserError as `find` does.

        A line that begins with # is a comment, unless it is an identity.
        """
        parts = [text] if self._is_identity(text) else self._parts(text)
        rows = dict.fromkeys(row for part in parts for row in self._rows(part))
        return torch.tensor([*rows], dtype=torch.int64)

    def format(self, rows: Sequence[int]) -> str:
        """Return a list of rows for `parse`, one a line, that is valid after removals, too.

        A row whose identity stands for several rows is given by its number.
        """
        return "".join(f"{self._reference(row)}\n" for row in rows)

    def _reference(self, row: int) -> str:
        name = f"id:{self.of(row)}"
        return name if self.parse(name).tolist() == [row] else f"row:{row}"

    def _parts(self, text: str) -> list[str]:
        parts: list[str] = []
        for line in text.splitlines():
            whole = [each for each in (line, line.strip()) if self._is_identity(each)]
            # Numbers may have blanks between them, names of files may contain them.
            split = line.replace(",", " ").split() if _NUMBERS.fullmatch(line) else line.split(",")
            if not whole and line.lstrip().startswith("#"):
                continue
            parts += whole[:1] or filter(None, map(str.strip, split))
        return parts

    def _is_identity(self, text: str) -> bool:
        return text in self or text.removeprefix("id:") in self

    @cached_property
    def _rows_of(self) -> dict[str, list[int]]:
        """The rows of each identity."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(() if self.ids is None else self.names):
            rows.setdefault(name, []).append(row)
        return rows

    def _rows(self, text: str) -> list[int]:
        text = printable(text)
        kind, colon, name = text.partition(":")
        is_id = kind + colon == "id:"
        if _RANGE.fullmatch(name) and (kind == "row" or (is_id and self.ids is None)):
            return [*parse_range(name, self.n)]
        named = self._rows_of.get(name if is_id else text, [])
        if is_id or _RANGE.fullmatch(text) is None:
            return named or self._refuse(name if is_id else text)
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

    @cached_property
    def _has_other_numbers(self) -> bool:
        """Whether a row has an identity that is a number, but not its own."""
        ids = enumerate(() if self.ids is None else self.names)
        return any(_INTEGER.fullmatch(name) is not None and int(name) != row for row, name in ids)

    def _moved(self, rows: list[int]) -> bool:
        if self.settled is not None and rows[-1] >= self.settled:
            return True
        return self._has_other_numbers and any(self.of(row) != str(row) for row in rows)

    def suggest(self, text: str, others: Sequence[str] = ()) -> str:
        """Return a closing question with the nearest identity or one of `others`, or ""."""
        return suggest(text, [*others, *[*self._rows_of][:_MAX_CHOICES]])

    def _refuse(self, text: str) -> list[int]:
        known = f"0 to {self.n - 1:,}" if self.ids is None else f"such as {self.of(0)}"
        raise UserError(
            f"No row is '{text}'; give row numbers and ranges, such as 3,17,40-49, or identities of"
            f" rows, {known}.{self.suggest(text)}"
        )
