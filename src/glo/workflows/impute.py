"""Imputation: the missing values of a table, from codes that explain the known values."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserError
from glo.inversion import InitialCodes
from glo.runs.run import Run
from glo.workflows.encode import ProgressCallback, encode_batches
from glo.workflows.incomplete_table import IncompleteTable

__all__ = ["Imputation", "check_incomplete_table", "impute"]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Imputation:
    """Imputed values of a table, and figures of its m incomplete rows.

    Attributes:
        values: (n, F), decoded rows in the units and dtype of the data; NaN in complete rows.
        residuals: float32 (m,), mean squared errors of the known values, in standard deviations of
            the columns.
        spread: float32 (m,), root mean square deviation of the solutions in the missing values, in
            standard deviations of the columns.
        converged: bool (m,), whether the search converged.
    """

    values: NDArray[np.floating]
    residuals: Tensor
    spread: Tensor
    converged: Tensor


def check_incomplete_table(run: Run, table: IncompleteTable) -> None:
    """Check that a table has a run's columns, missing values, and known values in each row."""
    dataset, expected = table.dataset, run.data.shape[0]
    if dataset.shape != run.data.shape:
        raise UserError(
            f"{table.source} has {dataset.shape[0]} columns of numbers, but {run.folder} was "
            f"trained on vectors of {expected} numbers; give as many, of a table as "
            f"SOURCE?columns=a,b."
        )
    if not table.missing.any():
        raise UserError(
            f"{table.source} has no missing values, so there is nothing to impute; mark them by "
            f"NaN or, in a table, by empty cells."
        )
    empty = np.flatnonzero(table.missing.all(axis=1))
    if len(empty):
        raise UserError(f"Every value of {dataset.name}[{empty[0]}] is missing; leave it out.")


def impute(
    run: Run,
    table: IncompleteTable,
    initial_codes: InitialCodes,
    *,
    n_solutions: int = 1,
    callback: ProgressCallback | None = None,
) -> Imputation:
    """Search for the codes of a table's incomplete rows, and decode the mean of the solutions."""
    dataset = run.standardize(table.dataset)
    rows = torch.from_numpy(np.flatnonzero(table.missing.any(axis=1)))
    values = np.full(table.missing.shape, np.nan, table.dataset.rows.dtype)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in encode_batches(
        run,
        rows,
        lambda part: (dataset.batch(part), dataset.observed(part)),
        initial_codes,
        n_solutions=n_solutions,
        name="imputing",
        callback=callback,
    ):
        assert batch.mask is not None, "these rows have missing values"
        hidden, inversion = 1 - batch.mask, batch.inversion
        values[batch.rows.numpy()] = run.in_units(inversion.mean).numpy()
        spread = ((inversion.std.square() * hidden).sum(1) / hidden.sum(1)).sqrt()
        parts.append((inversion.residuals, spread, inversion.converged))
    residuals, spread, converged = (torch.cat(each) for each in zip(*parts, strict=True))
    return Imputation(values=values, residuals=residuals, spread=spread, converged=converged)
