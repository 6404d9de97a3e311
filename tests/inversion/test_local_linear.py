"""The linear fit is a ridge regression, and its answers are spread as a posterior is."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from glo.inversion.initial_codes import Views
from glo.inversion.local_linear import LocalLinearModel, fit_local_linear


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fit(
    views: Views, seen: torch.Tensor, observed: torch.Tensor | None, answers: int
) -> LocalLinearModel:
    parts = list(fit_local_linear(views, seen, observed, answers))
    names = ("starts", "centres", "inverse", "precision")
    return LocalLinearModel(**{n: torch.cat([getattr(p, n) for p in parts]) for n in names})


@pytest.mark.parametrize("masked", [False, True])
def test_starts_are_those_of_a_ridge_regression_on_the_nearest(
    masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.inversion.local_linear._NEIGHBOURS", 30)
    codes = draw(80, 3)
    views = Views(codes=codes, views=codes @ draw(3, 9, seed=1) + 0.1 * draw(80, 9, seed=2))
    observed = (draw(5, 9, seed=3) > -0.5).float() if masked else None
    weight = torch.ones(5, 9) if observed is None else observed
    seen = draw(5, 9, seed=4) * weight
    found = fit(views, seen, observed, 4)
    for i in range(5):
        near = views.nearest(seen[i : i + 1], weight[i : i + 1], 30)[0]
        table = (views.views[near] * weight[i]).double().numpy()
        centred = table - table.mean(0)
        size = 0.1 * (centred**2).sum(1).mean()
        model = Ridge(alpha=size, solver="cholesky").fit(table, codes[near].double().numpy())
        guess = model.predict(seen[i : i + 1].double().numpy())[0]
        np.testing.assert_allclose(found.starts[i, 0].numpy(), guess, atol=2e-4)
        for j in range(3):
            own = codes[near[j]].double().numpy()
            moved = own + model.coef_ @ (seen[i].double().numpy() - table[j])
            np.testing.assert_allclose(found.starts[i, j + 1].numpy(), moved, atol=2e-4)
            assert torch.equal(found.centres[i, j + 1], codes[near[j]])
        np.testing.assert_allclose(found.centres[i, 0].numpy(), codes[near].mean(0), atol=1e-5)
        wanted = model.coef_ @ model.coef_.T
        np.testing.assert_allclose(found.inverse[i].numpy(), wanted, atol=1e-3 * wanted.max())
        covariance = np.cov(codes[near].double().numpy().T, bias=True)
        covariance += 0.01 * np.trace(covariance) / 3 * np.eye(3)
        np.testing.assert_allclose(
            found.precision[i].numpy(), np.linalg.inv(covariance), rtol=1e-2, atol=1e-2
        )


def test_the_size_of_the_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    views = Views(codes=draw(200, 3), views=draw(200, 9, seed=1))
    seen, observed = draw(7, 9, seed=2), (draw(7, 9, seed=3) > 0).float()
    seen = seen * observed
    whole = fit(views, seen, observed, 2)
    monkeypatch.setattr("glo.inversion.local_linear._GATHERED", 1)
    parts = fit(views, seen, observed, 2)
    torch.testing.assert_close(parts.starts, whole.starts, atol=1e-4, rtol=1e-4)


def test_repeated_starts_do_no_harm() -> None:
    codes = torch.cat([draw(1, 3).expand(150, 3), draw(150, 3, seed=5)])
    views = Views(codes=codes, views=codes @ draw(3, 9, seed=1))
    found = fit(views, views.views[:2].clone(), None, 3)
    assert bool(torch.isfinite(found.starts).all())
    assert bool(torch.isfinite(found.precision).all())


def test_answers_are_spread_as_the_posterior_of_a_gaussian() -> None:
    """Starts of a linear model with noise: the updated neighbours have the posterior's spread."""
    into = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    codes = draw(20_000, 2)
    near = codes[(codes[:, 0] - 0.3).abs() < 0.5]
    views = Views(codes=near[:128], views=near[:128] @ into)
    found = fit(views, torch.tensor([[0.3, 0.0, 0.15]]), None, 128)
    answers = found.starts[0, 1:]
    # The first coordinate is decided by the observation, the second one left open.
    assert float(answers[:, 0].std()) < 0.12
    assert 0.8 < float(answers[:, 1].std()) < 1.2
    assert abs(float(answers[:, 0].mean()) - 0.3) < 0.05
