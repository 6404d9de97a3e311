"""Imputation: the missing values of a table, from codes that explain the known values."""

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset
from glo.errors import UserError
from glo.inversion import InitialCodes
from glo.runs.run import Run
from glo.workflows.encode import ProgressCallback, encode_batches
from glo.workflows.incomplete_table import IncompleteTable

__all__ = ["check_incomplete_table", "impute"]


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
    dataset: Dataset,
    rows: Tensor,
    initial_codes: InitialCodes,
    *,
    n_solutions: int = 1,
    callback: ProgressCallback | None = None,
) -> dict[str, Tensor]:
    """Search for the codes of m incomplete rows, and decode the mean of the solutions.

    Args:
        run: finished run of vectors.
        dataset: vectors (n, F), NaN where a value is missing.
        rows: int64 (m,), numbers of rows with missing and known values.
        initial_codes: result of `prepare_search`.
        n_solutions: number of solutions of a row.
        callback: see `encode_batches`.

    Returns:
        by name: "values" (m, F), decoded rows in the units of the data; "residual" (m,), mean
        squared errors of the known values, in standard deviations of the columns; "spread" (m,),
        root mean square deviation of the solutions in the missing values, likewise; "converged"
        bool (m,).
    """
    dataset = run.standardize(dataset)
    parts: dict[str, list[Tensor]] = {"values": [], "residual": [], "spread": [], "converged": []}
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
        spread = ((inversion.std.square() * hidden).sum(1) / hidden.sum(1)).sqrt()
        parts["values"].append(run.in_units(inversion.mean))
        parts["residual"].append(inversion.residuals)
        parts["spread"].append(spread)
        parts["converged"].append(inversion.converged)
    return {name: torch.cat(each) for name, each in parts.items()}
