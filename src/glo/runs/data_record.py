"""What a run remembers of its data: enough to know them again, and which rows came and went."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, final

from glo.config.fields import toml_lines

__all__ = ["DataRecord", "RowChange"]

_BYTES = 8
_TEXTS = ("source", "name", "fingerprint")
# Rows of a run, and numbers in an example: more than any machine could hold.
_MOST_ROWS, _MOST_NUMBERS = 2**40, 2**31


@final
@dataclass(frozen=True, kw_only=True)
class RowChange:
    """Rows that were added after training, at the end, or forgotten.

    Attributes:
        kind: added or forgotten.
        n: how many rows.
        before: fingerprint of the data before it.
        source: what the user named as the added data; empty when rows were forgotten.
        split: which part of a source that has two; empty for the usual one.
        limit: how many of its first examples; 0 for all.
        name: of the added data.
        fingerprint: of the added data alone.
        rows: the forgotten rows, as they were numbered then: '3,17,40-49'.
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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a change from what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it was not that.
        """
        change = cls(**values)
        _check_whole("changes.n", change.n)
        _check_whole("changes.limit", change.limit, least=0)
        for name, value in vars(change).items():
            if name not in ("n", "limit") and not isinstance(value, str):
                raise TypeError(f"changes.{name} is no text")
        if change.kind not in ("added", "forgotten"):
            raise ValueError(f"changes.kind is {change.kind!r}")
        return change

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of it, ready for JSON or TOML."""
        return {name: value for name, value in vars(self).items() if value not in ("", 0)}


@final
@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """What a run remembers of its data: enough to know them again.

    Attributes:
        source: what the user named as the data.
        name: of the data.
        n: how many rows the run has now.
        shape: of one example, (C, H, W) or (F,).
        fingerprint: of the data. After a change of rows it is no longer that of any set, but a hash
            of the one before and of the change: equal histories have equal fingerprints.
        changes: of rows since the training, in order.

    Example:
        >>> facts = DataRecord(source="a.npy", name="a", n=5, shape=(3,), fingerprint="0" * 16)
        >>> changed = facts.forgotten(2, "0-1")
        >>> changed.n, changed.history
        (3, '2 forgotten')
    """

    source: str
    name: str
    n: int
    shape: tuple[int, ...]
    fingerprint: str
    changes: tuple[RowChange, ...] = ()

    @property
    def history(self) -> str:
        """The changes in words, such as '100 added, 2 forgotten'; empty if there were none."""
        return ", ".join(f"{change.n:,} {change.kind}" for change in self.changes)

    @property
    def n_trained(self) -> int:
        """How many rows there were in the training."""
        came = sum(change.n if change.kind == "added" else -change.n for change in self.changes)
        return self.n - came

    @property
    def fingerprints(self) -> set[str]:
        """Those of the data and of all that they were made from."""
        parts = {mark for each in self.changes for mark in (each.before, each.fingerprint)}
        return {self.fingerprint, *parts} - {""}

    def added(self, n: int, **about: Any) -> Self:
        """Return the facts after `n` rows of other data came to the end.

        Args:
            n: how many.
            about: source, split, limit, name and fingerprint of them, as for `RowChange`.
        """
        change = RowChange(kind="added", n=n, before=self.fingerprint, **about)
        return self._after(change, self.n + n)

    def forgotten(self, n: int, rows: str) -> Self:
        """Return the facts after `n` rows, written as '3,17,40-49', have gone."""
        change = RowChange(kind="forgotten", n=n, before=self.fingerprint, rows=rows)
        return self._after(change, self.n - n)

    def _after(self, change: RowChange, n: int) -> Self:
        text = f"{change.before} {change.kind} {change.fingerprint or change.rows}"
        mark = hashlib.blake2b(text.encode(), digest_size=_BYTES).hexdigest()
        return replace(self, n=n, fingerprint=mark, changes=(*self.changes, change))

    def to_dict(self) -> dict[str, Any]:
        """Return the facts, ready for JSON; `changes` only where there are some."""
        facts = {**vars(self), "shape": list(self.shape)}
        facts["changes"] = [change.to_dict() for change in self.changes]
        return facts if self.changes else {k: v for k, v in facts.items() if k != "changes"}

    def toml(self) -> str:
        """Return the facts as the table [data] and one table [[data.changes]] for each change."""
        facts = self.to_dict()
        changes = facts.pop("changes", [])
        text = f"[data]\n{toml_lines(facts)}"
        return text + "".join(f"\n[[data.changes]]\n{toml_lines(each)}" for each in changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild facts from what `to_dict` gave or a TOML parser read.

        Raises:
            KeyError, TypeError, ValueError: something is missing, too much, or of another kind.
        """
        changes = tuple(RowChange.from_dict(each) for each in values.get("changes", ()))
        facts = cls(**{**values, "shape": tuple(values["shape"]), "changes": changes})
        for name in _TEXTS:
            if not isinstance(getattr(facts, name), str):
                raise TypeError(f"{name} is no text")
        for number in (facts.n, facts.n_trained, *facts.shape):
            _check_whole("n or a number in shape", number)
        if len(facts.shape) not in (1, 3) or math.prod(facts.shape) > _MOST_NUMBERS:
            raise ValueError("shape is of no image and no vector")
        return facts


def _check_whole(name: str, value: object, *, least: int = 1) -> None:
    if type(value) is not int or not least <= value <= _MOST_ROWS:
        raise ValueError(f"{name} must be a whole number from {least} to {_MOST_ROWS}")
