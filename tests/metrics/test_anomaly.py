"""Calibration of anomaly scores on synthetic residuals and distances."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from glo.errors import UserError
from glo.metrics.anomaly import AnomalyScorer, TailProbability


def draw(n: int, seed: int, correlation: float = 0.0) -> tuple[Tensor, Tensor]:
    """Draw residuals of a heavy tail, and code distances that depend on them."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n))
    second = correlation * first + (1 - correlation**2) ** 0.5 * second
    return torch.from_numpy(0.005 * np.exp(first)), torch.from_numpy(30 + 5 * second)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_percentiles_and_scores_of_ordinary_examples_are_uniform(correlation: float) -> None:
    scorer = AnomalyScorer.fit(*draw(20_000, 0, correlation))
    scores = scorer.score(*draw(20_000, 1, correlation))
    for shares in (
        scores.residual_percentile / 100,
        scores.code_percentile / 100,
        10**-scores.anomaly,
    ):
        assert kstest(shares, "uniform").statistic < 0.02
    # In the tail as well, where values are extrapolated.
    assert (scores.anomaly > 3).mean() == pytest.approx(1e-3, rel=0.8)


def test_scores_rise_with_residual_and_distance_without_an_end() -> None:
    scorer = AnomalyScorer.fit(*draw(500, 0))
    residuals, distances = torch.logspace(-6, 3, 400), torch.linspace(0, 1e3, 400)
    by_residual = scorer.score(residuals, torch.full((400,), 30.0))
    by_distance = scorer.score(torch.full((400,), 0.005), distances)
    for found, percentile in (
        (by_residual, by_residual.residual_percentile),
        (by_distance, by_distance.code_percentile),
    ):
        assert np.all(np.diff(found.anomaly) >= 0)
        assert np.all(np.diff(percentile) >= 0)
        assert percentile.min() >= 0
        assert percentile.max() <= 100
        assert np.all(np.diff(found.anomaly[-50:]) > 0)


def test_perfect_residuals_and_equal_values_have_scores() -> None:
    scorer = AnomalyScorer.fit(torch.zeros(10), torch.ones(10))
    found = scorer.score(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
    assert np.isfinite(found.anomaly).all()
    assert found.anomaly[1] > found.anomaly[0]


def test_the_tail_begins_where_the_empirical_part_ends() -> None:
    tail = TailProbability.fit(np.random.default_rng(0).normal(size=1000))
    start = tail.ordinary[949]
    near = tail.surprisal(np.array([start - 1e-9, start, start + 1e-9]))
    np.testing.assert_allclose(near, near[1], atol=1e-5)


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan], [np.inf, 2.0], [[1.0, 2.0]]])
def test_values_without_a_distribution_are_refused(values: list[float]) -> None:
    with pytest.raises(UserError, match="at least two, all finite"):
        TailProbability.fit(np.array(values))
