"""Gaps of a table, filled by a run of vectors: codes are sought that explain what is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserError
from glo.inversion import InitialCodes, Inversion
from glo.runs.run import Run
from glo.workflows.encode import batches, search
from glo.workflows.incomplete_table import IncompleteTable

__all__ = ["Filled", "check_incomplete_table", "fill"]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Filled:
    """What was found for the rows of a table that have gaps.

    Attributes:
        made: float32 (n, F), in the units of the data: what the decoder makes of each row, NaN in
            rows without gaps.
        residual: float32 (m,), of the rows with gaps: mean squared error on what is known, in
            standard deviations of the columns.
        spread: float32 (m,), root mean square deviation of the answers in the gaps, likewise.
        converged: bool (m,), whether the search stopped by itself.
    """

    made: NDArray[np.float32]
    residual: Tensor
    spread: Tensor
    converged: Tensor


def check_incomplete_table(run: Run, sheet: IncompleteTable) -> None:
    """Check that a run can fill the gaps of a table.

    Raises:
        UserError: the table has other columns, no gaps, or a row of which nothing is known.
    """
    samples, wanted = sheet.samples, run.data.shape[0]
    if samples.shape != run.data.shape:
        raise UserError(
            f"{sheet.what} has {samples.shape[0]} columns of numbers, but {run.folder} was "
            f"trained on vectors of {wanted} numbers; give as many, of a table as "
            f"SOURCE?columns=a,b."
        )
    if not sheet.gaps.any():
        raise UserError(
            f"{sheet.what} has no gaps, so there is nothing to fill; mark missing numbers by NaN "
            f"or, in a table, by empty cells."
        )
    empty = np.flatnonzero(sheet.gaps.all(axis=1))
    if len(empty):
        raise UserError(f"Every value of {samples.name}[{empty[0]}] is missing; leave it out.")


def fill(
    run: Run, sheet: IncompleteTable, *, starts: InitialCodes, answers: int = 1
) -> Iterator[float | Filled]:
    """Search for the codes of the rows that have gaps, and decode them.

    The search is that of `glo.workflows.encode.search_samples`. The mean of several answers has the
    smaller squared error.

    Args:
        run: a finished run of vectors.
        sheet: a table that `check_incomplete_table` has nothing against.
        starts: of `prepare_search`.
        answers: how many are sought for each row.

    Yields:
        the share that is done, up to 1, and last what was found.

    Example:
        >>> steps = fill(run, sheet, starts=prepare_search(run))  # doctest: +SKIP
        >>> *_, found = steps  # doctest: +SKIP
        >>> sheet.save(Path("filled.csv"), found.made)  # doctest: +SKIP
    """
    samples = run.standardize(sheet.samples)
    rows = torch.from_numpy(np.flatnonzero(sheet.gaps.any(axis=1)))
    made = np.full(sheet.gaps.shape, np.nan, np.float32)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    done = 0
    for places in batches(len(rows), answers=answers):
        part = rows[places]
        known = samples.observed(part)
        assert known is not None, "these rows have gaps"
        for step in search(
            run, samples.batch(part), starts=starts, observed=known, answers=answers
        ):
            if isinstance(step, Inversion):
                made[part.numpy()] = run.in_units(step.average.cpu()).numpy()
                parts.append((step.residual, _spread(step, 1 - known), step.converged))
            else:
                yield (done + step.share * len(part)) / len(rows)
        done += len(part)
        yield done / len(rows)
    residual, spread, converged = (torch.cat(each) for each in zip(*parts, strict=True))
    yield Filled(made=made, residual=residual, spread=spread, converged=converged)


def _spread(found: Inversion, hidden: Tensor) -> Tensor:
    square = found.deviation.cpu().square() * hidden
    return (square.sum(1) / hidden.sum(1)).sqrt()
