"""Scikit-learn's Gaussian mixture with a time limit."""

import warnings
from typing import Any

import numpy as np
from benchmarks.compare.budget import Stopwatch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

__all__ = ["fit_mixture"]

# Iterations between looks at the clock; each look costs half an iteration more.
_ROUND = 5


def fit_mixture(
    codes: Tensor, components: int, *, seconds: float, seed: int
) -> tuple[GaussianMixture, str]:
    """Fit a mixture with full covariances until convergence or the time limit.

    Args:
        codes: (N, D).
        components: how many Gaussians.
        seconds: CPU seconds; at least one round of five iterations is made.
        seed: of the k-means start.

    Returns:
        the mixture, and a sentence that says how far it got.
    """
    watch = Stopwatch()
    try:
        mixture, iterations = _fit(codes.float().numpy(), components, watch, seconds, seed)
    except ValueError:
        # Scikit-learn finds a covariance singular in single precision; it takes twice as long.
        mixture, iterations = _fit(codes.double().numpy(), components, watch, seconds, seed)
    # Single precision is too coarse for NumPy's check of a covariance when it draws samples.
    covariances = mixture.covariances_.astype(np.float64)
    mixture.covariances_ = (covariances + covariances.swapaxes(1, 2)) / 2
    state = "converged" if mixture.converged_ else "stopped by the clock"
    return mixture, f"mixture of {components} {state} after {iterations} iterations"


def _fit(
    rows: NDArray[Any], components: int, watch: Stopwatch, seconds: float, seed: int
) -> tuple[GaussianMixture, int]:
    mixture = GaussianMixture(components, tol=1e-3, warm_start=True, random_state=seed)
    iterations, per_iteration = 0, 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # One iteration first: what it tells of the cost decides how many fit in a round.
        mixture.set_params(max_iter=1)
        while True:
            began = watch.cpu
            mixture.fit(rows)
            iterations += mixture.n_iter_
            if iterations > 1:
                per_iteration = (watch.cpu - began) / mixture.n_iter_
            if mixture.converged_ or watch.cpu + _ROUND * per_iteration > seconds:
                break
            mixture.set_params(max_iter=_ROUND)
    return mixture, iterations
