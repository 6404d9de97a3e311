"""Identities of the rows of a run: file paths, index values or row numbers of their source."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.storage import IDS_FILE, read_ids, to_ids, write_ids
from glo.errors import UserError, suggest
from glo.utils.row_ranges import parse_rows

__all__ = ["RowIds"]

_NUMBERS = re.compile(r"[\s\d-]+")
_RANGE = re.compile(r"-?\d+(-\d+)?")
_MAX_CHOICES = 10_000


@final
class RowIds:
    """Identities of N rows; without `ids` the row numbers.

    Args:
        ids: (N,), row numbers in the source (int) or other identities (str); None: 0, 1, ....
        n: N.

    Example:
        >>> rows = RowIds(np.array(["a.png", "c.png"], dtype=object), 2)
        >>> rows.of(1), rows.find("c.png"), rows.parse("a.png, 1")
        ('c.png', 1, tensor([0, 1]))
    """

    def __init__(self, ids: NDArray[Any] | None, n: int) -> None:
        self.ids = ids
        self.n = n

    @classmethod
    def read(cls, folder: Path, n: int) -> Self:
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
        return cls(ids, n)

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
        return RowIds(to_ids(values), self.n + others.n)

    def named(self, source: str) -> "RowIds":
        """Return names for row numbers of another source, such as 'new[3]'."""
        values = self._values.tolist()
        names = [v if isinstance(v, str) else f"{source}[{v}]" for v in values]
        return RowIds(to_ids(names), self.n)

    @property
    def _values(self) -> NDArray[Any]:
        return np.arange(self.n) if self.ids is None else self.ids

    @property
    def are_names(self) -> bool:
        """Whether a row has an identity other than its number."""
        return self.ids is not None

    def of(self, row: int) -> str:
        """Return the identity of a row."""
        return str(row if self.ids is None else self.ids[row])

    def find(self, text: str) -> int:
        """Return the row of an identity or a row number; "id:" or "row:" in front states which.

        Raises:
            UserError: there is no such row, or more than one.
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
        whole = text.strip()
        if whole in self._by_id and not whole.isdigit():
            return torch.tensor(self._rows(whole))
        mask = torch.zeros(self.n, dtype=torch.bool)
        for line in text.splitlines():
            parts = [line.strip()] if line.strip() in self._by_id else line.split(",")
            # Numbers may have blanks between them, names of files may contain them.
            if all(_NUMBERS.fullmatch(part) for part in parts):
                parts = line.replace(",", " ").split()
            for part in filter(None, map(str.strip, parts)):
                mask[self._rows(part)] = True
        return mask.nonzero().flatten()

    @cached_property
    def _by_id(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(() if self.ids is None else self.ids.tolist()):
            rows.setdefault(str(name), []).append(row)
        return rows

    def _rows(self, text: str) -> list[int]:
        kind, colon, name = text.partition(":")
        if colon and kind == "row":
            return [int(row) for row in parse_rows(name, self.n)]
        if colon and kind == "id" and text not in self._by_id:
            if self.ids is None:
                return [int(row) for row in parse_rows(name, self.n)]
            return self._by_id.get(name) or self._refuse(name)
        named = self._by_id.get(text, [])
        if _RANGE.fullmatch(text) is None:
            return named or self._refuse(text)
        if named and not self._is_row(text):
            return named
        numbered = [int(row) for row in parse_rows(text, self.n)]
        # Rows that moved up would be taken for those that had their numbers before.
        if named != numbered and (named or self._moved(numbered)):
            raise UserError(
                f"'{text}' may be a number among the present rows, which was {self.of(numbered[0])}"
                f" in the source, or a row of the source; write row:{text} or id:{text}."
            )
        return numbered

    def _is_row(self, text: str) -> bool:
        return text.isdigit() and int(text) < self.n

    def _moved(self, rows: list[int]) -> bool:
        values = rows if self.ids is None else self.ids[rows].tolist()
        return any(type(v) is int and v != row for v, row in zip(values, rows, strict=True))

    def _refuse(self, text: str) -> list[int]:
        names = () if self.ids is None else (str(name) for name in self.ids[:_MAX_CHOICES])
        known = f"0 to {self.n - 1:,}" if self.ids is None else f"such as {self.of(0)}"
        raise UserError(
            f"No row is '{text}'; give row numbers and ranges, such as 3,17,40-49, or identities of"
            f" rows, {known}.{suggest(text, names)}"
        )
