"""Fréchet and kernel distance against the formulas, written with scipy and sklearn."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel
from torch import Tensor

from glo.errors import UserError
from glo.metrics import fid_kid as distances
from glo.metrics import frechet_distance, kernel_distance


def _normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def _frechet(a: Tensor, b: Tensor) -> float:
    x, y = a.double().numpy(), b.double().numpy()
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    gap = np.square(x.mean(0) - y.mean(0)).sum()
    return float(gap + np.trace(s + t - 2 * sqrtm(s @ t).real))


@pytest.mark.parametrize("d", [2, 7])
def test_frechet_distance_is_the_formula_with_a_matrix_square_root(d: int) -> None:
    mix = _normal(d, d, 9)
    a, b = _normal(60, d, 1) @ mix, _normal(40, d, 2) + 0.5
    assert frechet_distance(a, b) == pytest.approx(_frechet(a, b), rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_frechet_distance_of_known_gaussians() -> None:
    # Same spread, 3 apart in each of two directions: 9 + 9. Twice the spread: d (2 - 1)^2 s^2.
    a = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert frechet_distance(a, a + 3.0) == pytest.approx(18.0)
    assert frechet_distance(a, 2 * a) == pytest.approx(2 * (2 / 3))


def test_frechet_distance_far_from_the_origin_loses_nothing() -> None:
    a, b = _normal(50, 3, 1), _normal(50, 3, 2)
    far = frechet_distance(a.double() + 1e5, b.double() + 1e5)
    assert far == pytest.approx(frechet_distance(a, b), rel=1e-6)


def test_frechet_distance_with_fewer_rows_than_features_and_dead_features() -> None:
    a, b = _normal(8, 20, 1), _normal(8, 20, 2)
    a[:, 15:], b[:, 15:] = 0.0, 0.0
    # Through the Gram matrices: trace (S T)^(1/2) is the sum of the singular values of X' Y.
    x, y = a.double() - a.double().mean(0), b.double() - b.double().mean(0)
    cross = torch.linalg.svdvals(x @ y.T).sum() / 7
    gap = (a.double().mean(0) - b.double().mean(0)).square().sum()
    expected = float(gap + (x.square().sum() + y.square().sum()) / 7 - 2 * cross)
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-4)
    assert 0.0 <= frechet_distance(a, a) < 1e-4


def test_kernel_distance_of_whole_sets_is_the_unbiased_formula() -> None:
    a, b = _normal(30, 4, 1), _normal(30, 4, 2) + 0.3
    x, y = a.double().numpy(), b.double().numpy()
    kxx, kyy, kxy = (
        polynomial_kernel(*pair, degree=3, gamma=1 / 4, coef0=1)
        for pair in ((x, x), (y, y), (x, y))
    )
    n = len(x)
    within = (kxx.sum() - np.trace(kxx) + kyy.sum() - np.trace(kyy)) / (n * (n - 1))
    mean, spread = kernel_distance(a, b)
    assert mean == pytest.approx(within - 2 * kxy.mean(), rel=1e-9)
    assert spread == pytest.approx(0.0, abs=1e-9)


def test_kernel_distance_is_a_function_of_its_seed_and_draws_nothing_global(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distances, "_SUBSET_SIZE", 100)
    a, b = _normal(150, 4, 1), _normal(120, 4, 2) + 0.3
    state = torch.get_rng_state()
    first = kernel_distance(a, b, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert kernel_distance(a, b, seed=5) == first
    assert kernel_distance(a, b, seed=6) != first
    assert first[1] > 0


def test_kernel_distance_of_the_same_distribution_is_about_zero_at_any_size() -> None:
    for n in (50, 500):
        found = [kernel_distance(_normal(n, 4, s), _normal(n, 4, s + 100))[0] for s in range(8)]
        assert abs(sum(found)) / 8 < 0.6 / n**0.5
    assert kernel_distance(_normal(500, 4, 1), _normal(500, 4, 2) + 0.5)[0] > 0.3


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_features_that_cannot_be_compared_are_refused(distance) -> None:
    good = _normal(5, 3, 1)
    for bad, word in (
        (_normal(5, 4, 1), "(5, 3) and (5, 4)"),
        (good[:1], "too few"),
        (good[:0], "too few"),
        (good[0], "(n, d)"),
        (torch.full((5, 3), torch.nan), "NaN"),
    ):
        with pytest.raises(UserError) as error:
            distance(good, bad)
        assert word in str(error.value)
