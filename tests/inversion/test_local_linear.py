"""Local linear models are ridge regressions, and their codes have the spread of a posterior."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from glo.inversion.initial_codes import InitialObservations
from glo.inversion.local_linear import fit_local_linear


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("masked", [False, True])
def test_codes_are_those_of_a_ridge_regression_on_the_nearest(
    masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.inversion.local_linear._NEIGHBORS", 30)
    codes = draw(80, 3)
    initial = InitialObservations(
        codes=codes, observations=codes @ draw(3, 9, seed=1) + 0.1 * draw(80, 9, seed=2)
    )
    mask = (draw(5, 9, seed=3) > -0.5).float() if masked else None
    weight = torch.ones(5, 9) if mask is None else mask
    target = draw(5, 9, seed=4) * weight
    model = fit_local_linear(initial, target, mask, 4)
    for i in range(5):
        near = initial.nearest(target[i : i + 1], weight[i : i + 1], 30)[0]
        table = (initial.observations[near] * weight[i]).double().numpy()
        centred = table - table.mean(0)
        size = 0.1 * (centred**2).sum(1).mean()
        ridge = Ridge(alpha=size, solver="cholesky").fit(table, codes[near].double().numpy())
        guess = ridge.predict(target[i : i + 1].double().numpy())[0]
        np.testing.assert_allclose(model.codes[i, 0].numpy(), guess, atol=2e-4)
        for j in range(3):
            start = codes[near[j]].double().numpy()
            moved = start + ridge.coef_ @ (target[i].double().numpy() - table[j])
            np.testing.assert_allclose(model.codes[i, j + 1].numpy(), moved, atol=2e-4)
            assert torch.equal(model.centers[i, j + 1], codes[near[j]])
        np.testing.assert_allclose(model.centers[i, 0].numpy(), codes[near].mean(0), atol=1e-5)
        expected = ridge.coef_ @ ridge.coef_.T
        np.testing.assert_allclose(model.inverse[i].numpy(), expected, atol=1e-3 * expected.max())
        covariance = np.cov(codes[near].double().numpy().T, bias=True)
        covariance += 0.01 * np.trace(covariance) / 3 * np.eye(3)
        np.testing.assert_allclose(
            model.precision[i].numpy(), np.linalg.inv(covariance), rtol=1e-2, atol=1e-2
        )


def test_repeated_codes_give_finite_models() -> None:
    codes = torch.cat([draw(1, 3).expand(150, 3), draw(150, 3, seed=5)])
    initial = InitialObservations(codes=codes, observations=codes @ draw(3, 9, seed=1))
    model = fit_local_linear(initial, initial.observations[:2].clone(), None, 3)
    assert bool(torch.isfinite(model.codes).all())
    assert bool(torch.isfinite(model.precision).all())


def test_codes_are_spread_as_the_posterior_of_a_gaussian() -> None:
    """Updated codes of a linear model with noise have the spread of the posterior."""
    into = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    codes = draw(20_000, 2)
    near = codes[(codes[:, 0] - 0.3).abs() < 0.5]
    initial = InitialObservations(codes=near[:128], observations=near[:128] @ into)
    model = fit_local_linear(initial, torch.tensor([[0.3, 0.0, 0.15]]), None, 128)
    updated = model.codes[0, 1:]
    # The first coordinate is decided by the observation, the second one left open.
    assert float(updated[:, 0].std()) < 0.12
    assert 0.8 < float(updated[:, 1].std()) < 1.2
    assert abs(float(updated[:, 0].mean()) - 0.3) < 0.05
