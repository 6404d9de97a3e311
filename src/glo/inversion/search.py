"""Batched quasi-Newton search: many rows at once, each of which leaves the batch when finished.

A decoder is fast on full batches only, so waiting rows take the place of finished rows, and the
batch stays full until none waits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.inversion.bfgs import Rows, bfgs_update, newton_step
from glo.inversion.local_linear import LocalLinearModel
from glo.inversion.objective import Objective
from glo.inversion.result import InversionCallback, InversionProgress
from glo.inversion.start import SearchStart
from glo.latents.constraints import Constraint, project

__all__ = [
    "MAX_LENGTH",
    "SearchLimits",
    "first_rows",
    "new_rows",
    "rows_at",
    "rows_per_batch",
    "search",
]

# Length of the longest step, as a share of the spread of the codes.
MAX_LENGTH = 0.4
# A row's convergence is checked every so many decodings.
_WINDOW = 5
# The linear fit uses initial codes all around and so underestimates the decoder's curvature. Of
# the first step that it proposes, measured on MNIST, a third lowers the objective most.
_FIRST_STEP = 0.35
# Factor of the step length after a step that did not lower the objective,
_BACKTRACK = 0.6
# and the total factor below which a further decrease would be lost in rounding.
_MIN_SHRINK = 0.02


@final
@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """Stopping rule as in `InversionOptions`, length of the longest step, and constraint."""

    max_steps: int
    tolerance: float
    max_length: float
    constraint: Constraint


def rows_per_batch(numbers: int, dim: int) -> int:
    """Return how many rows to search at once, by the size of an example and of a code."""
    return min(512, max(16, 2**21 // numbers), max(16, 2**25 // dim**2))


def first_rows(
    model: LocalLinearModel, start: int, counts: Tensor, limits: SearchLimits, *, centered: bool
) -> Rows:
    """Build the rows of b observations from number `start` on, one per solution."""
    b, k, dim = model.codes.shape
    device = model.codes.device
    # The Hessian of a mean of n squares is 2/n J^T J.
    inverse = model.inverse * (_FIRST_STEP * counts / 2).view(-1, 1, 1)
    rows = new_rows(
        torch.arange(start, start + b, device=device).repeat_interleave(k),
        torch.arange(k, device=device).repeat(b),
        project(model.codes.reshape(-1, dim), limits.constraint),
        inverse.repeat_interleave(k, 0),
    )
    if centered:
        rows["center"] = model.centers.reshape(-1, dim)
        rows["precision"] = model.precision.repeat_interleave(k, 0)
    return rows


def rows_at(start: SearchStart, part: slice, limits: SearchLimits) -> Rows:
    """Build the rows of some observations at given codes, with one inverse Hessian for all."""
    codes = project(start.codes[part], limits.constraint)
    numbers = torch.arange(part.start, part.start + len(codes), device=codes.device)
    inverse = start.inverse_hessian.expand(len(codes), *start.inverse_hessian.shape)
    return new_rows(numbers, torch.zeros_like(numbers), codes, inverse)


def new_rows(numbers: Tensor, solutions: Tensor, codes: Tensor, inverse: Tensor) -> Rows:
    """Return rows that were not decoded yet.

    Args:
        numbers: numbers of their observations, int64 (b,).
        solutions: numbers of their solutions, int64 (b,).
        codes: codes at which they begin, (b, D).
        inverse: first inverse Hessians, (b, D, D).
    """
    infinite = torch.full((len(codes),), torch.inf, device=codes.device)
    return {
        "row": numbers,
        "solution": solutions,
        "codes": codes,
        "inverse": inverse,
        "gradient": torch.zeros_like(codes),
        "total": infinite,
        "residual": infinite,
        "checked_total": infinite,
        "shrink": torch.ones_like(infinite),
        "steps": torch.zeros_like(numbers),
    }


def search(
    objective: Objective,
    next_rows: Callable[[int], Rows],
    shape: tuple[int, int, int],
    limits: SearchLimits,
    batch: int,
    callback: InversionCallback | None = None,
) -> Rows:
    """Minimize the objective of every row of n observations, with K solutions in D dimensions.

    About `batch` rows are searched at once. `next_rows` returns the rows of an observation, given
    by number, and maybe of some further ones.

    Returns:
        `codes` (n, K, D), `total`, `residual`, `steps` and `converged` (n, K), on the CPU. After an
        early stop, unfinished rows have their best codes so far, and codes that were not decoded
        yet are NaN.
    """
    n, k, dim = shape
    result = {
        "codes": torch.full((n, k, dim), torch.nan),
        "total": torch.full((n, k), torch.inf),
        "residual": torch.full((n, k), torch.inf),
        "steps": torch.zeros(n, k, dtype=torch.int64),
        "converged": torch.zeros(n, k, dtype=torch.bool),
    }
    active: Rows | None = None
    started = done = 0
    while True:
        while started < n and (active is None or len(active["row"]) < batch):
            rows = next_rows(started)
            started = int(rows["row"][-1]) + 1
            active = {
                name: values if active is None else torch.cat([active[name], values])
                for name, values in rows.items()
            }
        if active is None:
            return result
        _advance(active, objective, limits)
        converged = _converged(active, limits)
        finished = converged | (active["steps"] >= limits.max_steps)
        stop = callback is not None and callback(
            InversionProgress(
                done=done,
                total=n * k,
                max_steps=limits.max_steps,
                rows=active["row"],
                solutions=active["solution"],
                codes=active["codes"],
                residuals=active["residual"],
                steps=active["steps"],
            )
        )
        if stop:
            finished = torch.ones_like(finished)
        if bool(finished.any()):
            place = active["row"][finished].cpu(), active["solution"][finished].cpu()
            for name, values in result.items():
                values[place] = (active | {"converged": converged})[name][finished].cpu()
            done += len(place[0])
            active = {name: values[~finished] for name, values in active.items()}
            active = active if len(active["row"]) else None
        if stop:
            return result


def _advance(rows: Rows, objective: Objective, limits: SearchLimits) -> None:
    # A new row has no gradient, so its first trial is the code at which it begins.
    trial = project(newton_step(rows, limits.max_length), limits.constraint)
    total, residual, gradient = objective.evaluate(
        trial, rows["row"], rows.get("center"), rows.get("precision")
    )
    begun = rows["steps"] > 0
    step = torch.where(begun.unsqueeze(1), trial - rows["codes"], 0.0)
    # A rejected step measures the curvature as well as an accepted one.
    rows["inverse"] = bfgs_update(rows["inverse"], step, gradient - rows["gradient"])
    better = total <= rows["total"]
    rows["codes"] = torch.where(better.unsqueeze(1), trial, rows["codes"])
    rows["gradient"] = torch.where(better.unsqueeze(1), gradient, rows["gradient"])
    rows["total"] = torch.where(better, total, rows["total"])
    rows["residual"] = torch.where(better, residual, rows["residual"])
    rows["shrink"] = torch.where(better, 1.0, rows["shrink"] * _BACKTRACK)
    rows["steps"] = rows["steps"] + 1


def _converged(rows: Rows, limits: SearchLimits) -> Tensor:
    due = rows["steps"] % _WINDOW == 0
    decrease = rows["checked_total"] - rows["total"]
    converged = due & (decrease <= limits.tolerance * rows["total"].abs())
    rows["checked_total"] = torch.where(due, rows["total"], rows["checked_total"])
    return converged | (rows["shrink"] < _MIN_SHRINK)
