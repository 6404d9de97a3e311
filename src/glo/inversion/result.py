"""Result and progress of an inversion."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self, final

from torch import Tensor

__all__ = ["Inversion", "InversionCallback", "InversionProgress"]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class InversionProgress:
    """State of a search after one decoding of B solutions.

    Attributes:
        done: number of finished solutions.
        total: number of solutions in all, n K.
        max_steps: maximum number of decodings per solution.
        rows: int64 (B,), observation of each decoded solution.
        solutions: int64 (B,), number of the solution, from 0 to K - 1.
        codes: (B, D), best codes so far, on the decoder's device.
        residuals: (B,), residuals of these codes on the observed values.
        steps: int64 (B,), decodings so far.
    """

    done: int
    total: int
    max_steps: int
    rows: Tensor
    solutions: Tensor
    codes: Tensor
    residuals: Tensor
    steps: Tensor

    @property
    def fraction(self) -> float:
        """Completed fraction of the work, in [0, 1], if all solutions took `max_steps` decodings.

        Most solutions take fewer, so it rises faster towards the end.
        """
        return (self.done + float(self.steps.sum()) / self.max_steps) / self.total


InversionCallback = Callable[[InversionProgress], bool | None]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Inversion:
    """Codes of n observations, K solutions each.

    Attributes:
        codes: (n, D), codes of the lowest objective.
        reconstructions: (n, *shape), decoded `codes`: whole examples, hidden values included.
        residuals: (n,), loss of `codes` on the observed values.
        steps: int64 (n,), decodings of all solutions of an observation.
        converged: bool (n,), whether the search of `codes` converged.
        solutions: (n, K, D), all solutions, by increasing residual.
        solution_residuals: (n, K), residuals of the solutions.
        mean: (n, *shape), mean of the decoded solutions: an estimate of the least squared error,
            blurred where the solutions differ.
        std: (n, *shape), standard deviation of the decoded solutions: uncertainty that the
            observation leaves.
    """

    codes: Tensor
    reconstructions: Tensor
    residuals: Tensor
    steps: Tensor
    converged: Tensor
    solutions: Tensor
    solution_residuals: Tensor
    mean: Tensor
    std: Tensor

    def better_of(self, other: Self, rows: Tensor) -> Self:
        """Return this result with `other` in the place of rows where its residual is lower.

        Args:
            other: result for some of the observations.
            rows: int64 (m,), numbers of these observations.
        """
        lower = other.residuals < self.residuals[rows]
        values = {}
        for field in fields(self):
            value = getattr(self, field.name).clone()
            value[rows[lower]] = getattr(other, field.name)[lower]
            values[field.name] = value
        return type(self)(**values | {"steps": self.steps.index_add(0, rows, other.steps)})
