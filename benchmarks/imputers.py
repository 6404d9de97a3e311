"""Baseline imputers for the studies.

Each takes a table (n, F) with NaN, standardised or pixels, and gives it back whole; with `unseen`,
rows that it did not learn from, which come back as well.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Filled", "Table", "by_iterative", "by_mean", "by_neighbours", "by_pca", "hide"]

Table = NDArray[np.float64]
Filled = tuple[Table, Table | None]

_ROUNDS = 300
_GAIN = 1e-5


def hide(table: Table, share: float, seed: int) -> NDArray[np.bool_]:
    """Select known values to hide at random, leaving at least two per row.

    Args:
        table: (n, F), NaN where a value is missing already.
        share: of the known values.
        seed: of the choice.

    Returns:
        bool (n, F).
    """
    draws = np.random.default_rng(seed).random(table.shape)
    draws[np.isnan(table)] = np.nan
    hidden: NDArray[np.bool_] = draws < share
    kept = np.argsort(-np.where(np.isnan(draws), -1, draws), axis=1)[:, :2]
    np.put_along_axis(hidden, kept, False, axis=1)
    return hidden


def by_mean(table: Table, unseen: Table | None = None) -> Filled:
    """Impute by the column mean."""
    mean = np.nan_to_num(np.nanmean(table, axis=0))
    first, second = (_filled(part, mean) for part in (table, unseen))
    assert first is not None, "a table was given"
    return first, second


def by_neighbours(table: Table, unseen: Table | None = None, *, k: int = 5) -> Filled:
    """Impute by the mean of the nearest rows, scikit-learn's KNNImputer."""
    from sklearn.impute import KNNImputer

    return _by(KNNImputer(n_neighbors=k, keep_empty_features=True), table, unseen)


def by_iterative(
    table: Table,
    unseen: Table | None = None,
    *,
    features: int | None = None,
    rounds: int = 10,
    seed: int = 0,
) -> Filled:
    """Impute by regression of each column on others, scikit-learn's IterativeImputer.

    Its regression is BayesianRidge. Values stay within what the column holds, without which they
    can run away.

    Args:
        table: to learn from.
        unseen: to fill as well.
        features: of so many other columns, those that correlate most; None: of all.
        rounds: over the columns.
        seed: of the imputer.
    """
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    low, high = np.nan_to_num(np.nanmin(table, axis=0)), np.nan_to_num(np.nanmax(table, axis=0))
    imputer = IterativeImputer(
        max_iter=rounds,
        n_nearest_features=features,
        min_value=low,
        # It wants a span above zero, also of a column that is flat.
        max_value=np.maximum(high, low + 1e-6),
        keep_empty_features=True,
        random_state=seed,
    )
    return _by(imputer, table, unseen)


def by_pca(table: Table, unseen: Table | None = None, *, rank: int) -> Filled:
    """Impute by PCA, fitted and applied in turn until convergence.

    That is expectation maximisation of the low-rank model, with each component's share of the
    variance held back by the noise (as in regularised iterative PCA).

    Args:
        table: to learn from.
        unseen: to fill with the components that were found.
        rank: number of components.

    Reference:
        Josse and Husson, "missMDA: a package for handling missing values in multivariate data
        analysis", Journal of Statistical Software 70, 2016, section 2.2.
    """
    whole, missing = by_mean(table)[0], np.isnan(table)
    change = np.inf
    for _ in range(_ROUNDS):
        mean, into, shrink = _components(whole, rank)
        new = np.where(missing, mean + ((whole - mean) @ into * shrink) @ into.T, table)
        change = float(np.square(new - whole).sum() / max(np.square(whole).sum(), 1e-12))
        whole = new
        if change < _GAIN:
            break
    if unseen is None:
        return whole, None
    mean, into, shrink = _components(whole, rank)
    holes = np.isnan(unseen)
    other = np.where(holes, mean, unseen)
    for _ in range(_ROUNDS):
        other = np.where(holes, mean + ((other - mean) @ into * shrink) @ into.T, unseen)
    return whole, other


def _components(whole: Table, rank: int) -> tuple[Table, Table, Table]:
    mean = whole.mean(0)
    apart = whole - mean
    variances, vectors = np.linalg.eigh(apart.T @ apart / len(whole))
    rest = variances[:-rank]
    noise = float(rest.mean()) if len(rest) else 0.0
    top = np.maximum(variances[-rank:], 1e-12)
    return mean, vectors[:, -rank:], np.maximum(0.0, 1 - noise / top)


def _by(imputer: Any, table: Table, unseen: Table | None) -> Filled:
    fill: Callable[[Table], Table] = imputer.fit_transform
    with warnings.catch_warnings():
        # It says that it has not converged: the rounds are limited on purpose.
        warnings.simplefilter("ignore")
        whole = fill(table)
        return whole, None if unseen is None else imputer.transform(unseen)


def _filled(part: Table | None, mean: Table) -> Table | None:
    return None if part is None else np.where(np.isnan(part), mean, part)
