"""Calibrated anomaly scores from the residuals and code distances of ordinary examples.

With p the share of ordinary examples at least as unusual, a surprisal is -log10 p. The surprisals
of residual and code distance are added, which is Fisher's statistic. As the two depend on each
other, the sum is not compared with a chi-squared distribution but with the sums of the ordinary
examples themselves.
"""

import math
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserError

__all__ = ["AnomalyScorer", "AnomalyScores", "TailProbability"]

# Share of the highest values that the exponential tail is fitted to.
_TAIL = 0.05
# Below every residual of float32.
_MIN_RESIDUAL = 1e-30

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TailProbability:
    """Probability of a value at least as high, estimated from n ordinary values.

    Up to the 95th percentile it is the empirical distribution with linear interpolation between
    the sorted values, of which the k-th has probability 1 - (k - 1/2) / n. Beyond it falls
    exponentially, by the mean excess of the values there, so that it stays above zero and falls
    strictly.

    Attributes:
        ordinary: float64 (n,), ordinary values, ascending.

    Reference:
        Coles, "An introduction to statistical modeling of extreme values", Springer 2001, section
        4.3: the mean excess over a high threshold.

    Example:
        >>> tail = TailProbability.fit(np.arange(1000.0))
        >>> tail.percentile(np.array([499.5]))
        array([50.])
        >>> tail.surprisal(np.array([899.5, 1050.0])).round(1)
        array([1., 3.])
    """

    ordinary: Array

    @classmethod
    def fit(cls, ordinary: Array) -> Self:
        """Estimate the distribution of ordinary values, (n,), n of at least 2.

        Raises:
            UserError: fewer than two values, or NaN or infinity among them.
        """
        if ordinary.ndim != 1 or len(ordinary) < 2 or not np.isfinite(ordinary).all():
            raise UserError(
                f"There are {ordinary.size} ordinary values, {np.isfinite(ordinary).sum()} of them "
                f"finite; an anomaly score needs at least two, all finite."
            )
        return cls(ordinary=np.sort(ordinary.astype(np.float64)))

    def surprisal(self, values: Array) -> Array:
        """Return -log10 of the probability of a value at least as high, (m,), above 0."""
        n = len(self.ordinary)
        tail = max(1, int(_TAIL * n))
        start = self.ordinary[n - tail - 1]
        excess = max(float(self.ordinary[n - tail :].mean() - start), 1e-12)
        shares = 1 - (np.arange(n) + 0.5) / n
        body = -np.log10(np.interp(values, self.ordinary, shares))
        # In the tail only, where the empirical share is replaced.
        beyond = (values - start) / (excess * math.log(10)) - math.log10((tail + 0.5) / n)
        return np.where(values > start, beyond, body)

    def percentile(self, values: Array) -> Array:
        """Return the percentage of ordinary examples with a lower value, (m,), from 0 to 100."""
        return 100 * -np.expm1(-math.log(10) * self.surprisal(values))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class AnomalyScores:
    """Scores of m examples.

    Attributes:
        residual_percentile: float64 (m,), percentage of ordinary examples with a lower residual.
        code_percentile: float64 (m,), percentage of ordinary examples with a likelier code.
        anomaly: float64 (m,), -log10 of the probability that an ordinary example is at least as
            unusual; 2 is reached by one ordinary example in 100.
    """

    residual_percentile: Array
    code_percentile: Array
    anomaly: Array


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class AnomalyScorer:
    """Scores of residuals and code distances, calibrated on ordinary examples.

    Attributes:
        residual: distribution of the logarithm of the residual.
        distance: distribution of the distance of the code.
        both: distribution of the sum of the two surprisals.

    Reference:
        Fisher, "Statistical methods for research workers", 1925, section 21.1.

    Example:
        >>> import torch
        >>> residuals, distances = torch.rand(2, 500, generator=torch.Generator().manual_seed(0))
        >>> scorer = AnomalyScorer.fit(residuals, distances)
        >>> scores = scorer.score(torch.tensor([0.5, 1.1]), torch.tensor([0.5, 0.5]))
        >>> scores.anomaly.round(1)
        array([0.2, 3.6])
    """

    residual: TailProbability
    distance: TailProbability
    both: TailProbability

    @classmethod
    def fit(cls, residuals: Tensor, distances: Tensor) -> Self:
        """Calibrate on ordinary examples, as unseen as those that are scored.

        Args:
            residuals: (n,), at least 0.
            distances: (n,), higher for less likely codes.

        Raises:
            UserError: fewer than two examples, or NaN or infinity among them.
        """
        first, second = _log(residuals), _array(distances)
        residual, distance = TailProbability.fit(first), TailProbability.fit(second)
        total = residual.surprisal(first) + distance.surprisal(second)
        return cls(residual=residual, distance=distance, both=TailProbability.fit(total))

    def score(self, residuals: Tensor, distances: Tensor) -> AnomalyScores:
        """Return the scores of examples, given their residuals (m,) and code distances (m,)."""
        residual = self.residual.surprisal(_log(residuals))
        distance = self.distance.surprisal(_array(distances))
        return AnomalyScores(
            residual_percentile=self.residual.percentile(_log(residuals)),
            code_percentile=self.distance.percentile(_array(distances)),
            anomaly=self.both.surprisal(residual + distance),
        )


def _log(residuals: Tensor) -> Array:
    # The ratio of two residuals is their distance: residuals have a heavy tail.
    return np.log(np.maximum(_array(residuals), _MIN_RESIDUAL))


def _array(values: Tensor) -> Array:
    array: Array = values.detach().cpu().double().numpy()
    return array
