"""Record of the training data of a run: source, shape, fingerprint, and later changes of rows."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, final

from glo.utils.json_toml import toml_lines

__all__ = ["DataRecord", "RowChange"]

_DIGEST_BYTES = 8
_MAX_ROWS, _MAX_EXAMPLE_SIZE = 2**40, 2**31


@final
@dataclass(frozen=True, kw_only=True)
class RowChange:
    """Rows that were added at the end, or removed, after training.

    Attributes:
        n: number of rows.
        before: fingerprint of the data before the change.
        source: source of the added data; empty for removed rows.
        split: split of the source; empty for the default one.
        limit: number of its first examples; 0 for all.
        fingerprint: fingerprint of the added data alone.
        rows: the removed rows by their numbers at that time, such as '3,17,40-49'.
        directory, run_folder: as for `DataRecord`.
    """

    kind: Literal["added", "forgotten"]
    n: int
    before: str
    source: str = ""
    split: str = ""
    limit: int = 0
    name: str = ""
    fingerprint: str = ""
    rows: str = ""
    directory: str = ""
    run_folder: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a change from the values of `to_dict`, after a check of their types."""
        change = cls(**values)
        _check_texts(change, except_for=("n", "limit"))
        _check_number("changes.n", change.n)
        _check_number("changes.limit", change.limit, low=0)
        if change.kind not in ("added", "forgotten"):
            raise ValueError(f"changes.kind is {change.kind!r}")
        if change.kind == "forgotten" and not re.match(r"[0-9]{1,18}\b", change.rows):
            raise ValueError(f"changes.rows is {change.rows[:40]!r}")
        return change

    def to_dict(self) -> dict[str, Any]:
        """Return the values that are set, for JSON or TOML."""
        return {name: value for name, value in vars(self).items() if value not in ("", 0)}


@final
@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """Record of the training data, by which a run finds and verifies them.

    Attributes:
        source: the source that the user named.
        n: N, present number of rows.
        shape: shape of an example, (C, H, W) or (F,).
        fingerprint: hash of the data; after a change of rows a hash of the earlier fingerprint and
            the change, so that equal histories have equal fingerprints.
        held_out: hash of the examples held out of training; empty: none.
        whole: hash of the source, where a fraction of it is held out; empty: all of it is the data.
        directory: working directory when the source was named; empty if it is not recorded.
        run_folder: path of the run folder then.
    """

    source: str
    name: str
    n: int
    shape: tuple[int, ...]
    fingerprint: str
    held_out: str = ""
    whole: str = ""
    directory: str = ""
    run_folder: str = ""
    changes: tuple[RowChange, ...] = ()

    @property
    def history(self) -> str:
        """The changes in words, such as '100 added, 2 forgotten', or an empty string."""
        return ", ".join(f"{change.n:,} {change.kind}" for change in self.changes)

    @property
    def n_trained(self) -> int:
        """Number of rows in training."""
        return self.n - sum(c.n if c.kind == "added" else -c.n for c in self.changes)

    @property
    def n_ever(self) -> int:
        """Number of rows in training and added since, with those removed."""
        return self.n_trained + sum(c.n for c in self.changes if c.kind == "added")

    @property
    def n_settled(self) -> int:
        """Number of the first rows that never moved up when others were removed."""
        removed = [int(re.split("[,-]", c.rows)[0]) for c in self.changes if c.kind == "forgotten"]
        return min([self.n, *removed])

    @property
    def fingerprints(self) -> set[str]:
        """Fingerprints of the data and of all their parts and earlier states."""
        parts = {mark for each in self.changes for mark in (each.before, each.fingerprint)}
        return {self.fingerprint, self.whole, *parts} - {""}

    def added(self, n: int, **source: Any) -> Self:
        """Return the record after `n` rows were added at the end; `source` as for `RowChange`."""
        change = RowChange(kind="added", n=n, before=self.fingerprint, **source)
        return self._after(change, self.n + n)

    def forgotten(self, n: int, rows: str) -> Self:
        """Return the record after `n` rows, written as '3,17,40-49', were removed."""
        change = RowChange(kind="forgotten", n=n, before=self.fingerprint, rows=rows)
        return self._after(change, self.n - n)

    def _after(self, change: RowChange, n: int) -> Self:
        text = f"{change.before} {change.kind} {change.fingerprint or change.rows}"
        digest = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
        return replace(self, n=n, fingerprint=digest, changes=(*self.changes, change))

    def to_dict(self) -> dict[str, Any]:
        """Return the record for JSON, without what is optional and empty."""
        values = {**vars(self), "shape": list(self.shape)}
        values["changes"] = [change.to_dict() for change in self.changes]
        optional = ("changes", "held_out", "whole", "directory", "run_folder")
        return {name: value for name, value in values.items() if value or name not in optional}

    def toml(self) -> str:
        """Return the record as the TOML table [data] and one [[data.changes]] per change."""
        values = self.to_dict()
        changes = values.pop("changes", [])
        text = f"[data]\n{toml_lines(values)}"
        return text + "".join(f"\n[[data.changes]]\n{toml_lines(each)}" for each in changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a record from `to_dict` or TOML.

        Raises:
            KeyError, TypeError, ValueError: a value is missing, unknown or of another type.
        """
        changes = tuple(RowChange.from_dict(each) for each in values.get("changes", ()))
        record = cls(**{**values, "shape": tuple(values["shape"]), "changes": changes})
        _check_texts(record, except_for=("n", "shape", "changes"))
        for number in (record.n, record.n_trained, *record.shape):
            _check_number("n or a number in shape", number)
        if len(record.shape) not in (1, 3) or math.prod(record.shape) > _MAX_EXAMPLE_SIZE:
            raise ValueError("shape is neither (C, H, W) nor (F,)")
        return record


def _check_texts(record: object, *, except_for: tuple[str, ...]) -> None:
    for name, value in vars(record).items():
        if name not in except_for and not isinstance(value, str):
            raise TypeError(f"{name} is not a string")


def _check_number(name: str, value: object, *, low: int = 1) -> None:
    if type(value) is not int or not low <= value <= _MAX_ROWS:
        raise ValueError(f"{name} must be an integer from {low} to {_MAX_ROWS}")
