"""Held-out errors of a training run: checks, the best of them, patience and memorization.

The search for the codes of held-out examples is the caller's; here are its results, and the rules
that follow from them.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, final

__all__ = ["Check", "ValidationRecord", "check_interval", "check_rows"]

# Number of rows of a check: a 64th of the training rows, between these.
_MIN_ROWS, _MAX_ROWS, _ROWS_SHARE = 64, 512, 64
MAX_STEPS = 10
"""Maximum number of decodings of a row in a check."""
MAX_INITIAL_CODES = 1024
"""Maximum number of training codes that the searches of a check begin at."""
# A batch of fewer rows costs about as much as one of these.
_MIN_BATCH = 48
# Share of the rows of training that checks may decode.
_MAX_COST = 0.1
# Relative rise of the held-out error above its best that counts as memorization. Checks one after
# the other differ by 1 or 2 % where nothing is memorized yet.
_GAP = 0.05


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """Result of one check.

    Attributes:
        epoch: number of the epoch before it, from 1.
        error: held-out error, mean squared error of the examples under the codes found.
        mse: training error of that epoch.
    """

    epoch: int
    error: float
    mse: float


@final
@dataclass(frozen=True, kw_only=True)
class ValidationRecord:
    """Last and best check of a run.

    Attributes:
        last: the last check.
        best: the first check of the smallest error.
        since: number of checks since the best.
    """

    last: Check
    best: Check
    since: int

    @classmethod
    def first(cls, check: Check) -> Self:
        """Return the record after the first check."""
        return cls(last=check, best=check, since=0)

    def after(self, check: Check) -> "ValidationRecord":
        """Return the record after another check.

        Example:
            >>> record = ValidationRecord.first(Check(epoch=1, error=0.2, mse=0.3))
            >>> record = record.after(Check(epoch=2, error=0.3, mse=0.1))
            >>> record.best.epoch, record.since, record.memorizes
            (1, 1, True)
        """
        # NaN is no improvement.
        if check.error < self.best.error or math.isnan(self.best.error):
            return ValidationRecord.first(check)
        return ValidationRecord(last=check, best=self.best, since=self.since + 1)

    @property
    def memorizes(self) -> bool:
        """Whether the held-out error is above its best by 5 % and the training error has fallen."""
        last, best = self.last, self.best
        return last.error > (1 + _GAP) * best.error and last.mse < best.mse

    def to_dict(self) -> dict[str, Any]:
        """Return the record for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a record from `to_dict`; KeyError, TypeError or ValueError if it is damaged."""
        last, best = Check(**values["last"]), Check(**values["best"])
        numbers = (last.epoch, best.epoch, values["since"])
        if not all(type(number) is int for number in numbers) or not 0 < best.epoch <= last.epoch:
            raise ValueError("the epochs of the checks are no integers in order")
        return cls(last=last, best=best, since=values["since"])


def check_rows(n: int, n_held_out: int) -> int:
    """Return the number of held-out rows of a check of a run of `n` training rows.

    Example:
        >>> check_rows(60_000, 10_000), check_rows(500, 10_000), check_rows(500, 25)
        (512, 64, 25)
    """
    return min(n_held_out, _MAX_ROWS, max(_MIN_ROWS, n // _ROWS_SHARE))


def check_interval(n: int, n_held_out: int) -> int:
    """Return the number of epochs from one check to the next.

    It is a function of the numbers of rows, not of a clock, so that a resumed run is the same. A
    row of a search counts like one of training in each decoding, an initial code like a third of
    one. Measured on 475 digits with 25 held out, a check took as long as 0.6 epochs at width 64
    to 1.5 at width 16, so the checks 4 to 10 % of the time of training.

    Args:
        n: number of training rows.
        n_held_out: number of held-out rows.

    Example:
        >>> check_interval(60_000, 3000), check_interval(475, 25)
        (1, 14)
    """
    searched = MAX_STEPS * max(_MIN_BATCH, check_rows(n, n_held_out))
    return math.ceil((searched + min(n, MAX_INITIAL_CODES) / 3) / (_MAX_COST * n))
