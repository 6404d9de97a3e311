"""The search itself: many rows at once, each leaving the batch as soon as it is done.

A decoder is fast on full batches only. So rows that are done make room for rows that wait, and the
batch stays full until none waits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.inversion.bfgs import Rows, join, learn, propose, take
from glo.inversion.local_linear import LocalLinearModel
from glo.inversion.objective import Objective
from glo.latents.constraints import Constraint, project

__all__ = ["Pace", "batch_rows", "new_rows", "search"]

# A row is looked at every so many decodings, and is done if it gained less than the tolerance.
_WINDOW = 5
# The linear fit looks at starts all around and so takes the decoder for straighter than it is. Of
# the first step that it proposes, measured on MNIST, a third lowers the objective most.
_CAUTION = 0.35
# A step that did not lower the objective is followed by one of this share of the length,
_SHORTER = 0.6
# and when so little of it is left, there is nothing to gain that the arithmetic could tell.
_SHORTEST = 0.02


@final
@dataclass(frozen=True, kw_only=True)
class Pace:
    """When a search ends, and how far it may jump.

    Args:
        most: decodings of a row at most.
        tolerance: a row is done when five decodings lowered its objective by less than this share.
        reach: length of the longest step.
        constraint: what holds for every code.
    """

    most: int
    tolerance: float
    reach: float
    constraint: Constraint


def batch_rows(numbers: int, dim: int) -> int:
    """Return how many rows to search at once, by the size of an example and of a code.

    Example:
        >>> batch_rows(1024, 32), batch_rows(3 * 128 * 128, 512)
        (512, 42)
    """
    return min(512, max(16, 2**21 // numbers), max(16, 2**25 // dim**2))


def new_rows(
    near: LocalLinearModel, first: int, numbers: Tensor, pace: Pace, *, centred: bool
) -> Rows:
    """Make the rows of some observations, one for each answer.

    Args:
        near: of b observations that want K answers each.
        first: number of the first of these observations.
        numbers: (b,), how many numbers of each are known.
        pace: of the search.
        centred: whether each answer is held near its centre by the neighbours' Gaussian.
    """
    b, k, dim = near.starts.shape
    device = near.starts.device
    rows = torch.arange(first, first + b, device=device).repeat_interleave(k)
    # The Hessian of a mean of n squares is 2/n J^T J.
    inverse = near.inverse * (_CAUTION * numbers / 2).view(-1, 1, 1)
    made = {
        "row": rows,
        "answer": torch.arange(k, device=device).repeat(b),
        "codes": project(near.starts.reshape(-1, dim), pace.constraint),
        "inverse": inverse.repeat_interleave(k, 0),
        "gradient": torch.zeros(b * k, dim, device=device),
        "total": torch.full((b * k,), torch.inf, device=device),
        "residual": torch.full((b * k,), torch.inf, device=device),
        "mark": torch.full((b * k,), torch.inf, device=device),
        "shrink": torch.ones(b * k, device=device),
        "steps": torch.zeros(b * k, dtype=torch.int64, device=device),
    }
    if centred:
        made["centre"] = near.centres.reshape(-1, dim)
        made["precision"] = near.precision.repeat_interleave(k, 0)
    return made


def search(
    objective: Objective, waiting: Iterator[Rows], pace: Pace, batch: int
) -> Iterator[tuple[Rows, Rows | None]]:
    """Lower the objective of every row by one decoding after another.

    Args:
        objective: of the observations.
        waiting: rows made by `new_rows`.
        pace: when a row is done.
        batch: about how many rows are searched at once.

    Yields:
        after each decoding the rows that took part in it, with their best `codes` so far, their
        `residual` and `steps`; and of these the ones that are done, which say whether they
        `converged`, or None.
    """
    active = _fill(None, waiting, batch)
    while active is not None:
        _advance(active, objective, pace)
        converged = _settled(active, pace)
        done = converged | (active["steps"] >= pace.most)
        some = bool(done.any())
        yield dict(active), take(active | {"converged": converged}, done) if some else None
        if some:
            rest = take(active, ~done) if not bool(done.all()) else None
            active = _fill(rest, waiting, batch)


def _fill(active: Rows | None, waiting: Iterator[Rows], batch: int) -> Rows | None:
    while active is None or len(active["row"]) < batch:
        more = next(waiting, None)
        if more is None:
            return active
        active = join(active, more)
    return active


def _advance(rows: Rows, objective: Objective, pace: Pace) -> None:
    # A new row has no gradient, so it proposes the code it begins with.
    trial = project(propose(rows, pace.reach), pace.constraint)
    found = objective.at(trial, rows["row"], rows.get("centre"), rows.get("precision"))
    begun = rows["steps"] > 0
    moved = torch.where(begun.unsqueeze(1), trial - rows["codes"], 0.0)
    # A step that failed tells about the curvature as well as one that did not.
    rows["inverse"] = learn(rows["inverse"], moved, found.gradient - rows["gradient"])
    better = found.total <= rows["total"]
    rows["codes"] = torch.where(better.unsqueeze(1), trial, rows["codes"])
    rows["gradient"] = torch.where(better.unsqueeze(1), found.gradient, rows["gradient"])
    rows["total"] = torch.where(better, found.total, rows["total"])
    rows["residual"] = torch.where(better, found.residual, rows["residual"])
    rows["shrink"] = torch.where(better, 1.0, rows["shrink"] * _SHORTER)
    rows["steps"] = rows["steps"] + 1


def _settled(rows: Rows, pace: Pace) -> Tensor:
    due = rows["steps"] % _WINDOW == 0
    gain = rows["mark"] - rows["total"]
    settled = due & (gain <= pace.tolerance * rows["total"].abs())
    rows["mark"] = torch.where(due, rows["total"], rows["mark"])
    return settled | (rows["shrink"] < _SHORTEST)
