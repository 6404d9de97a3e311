"""The mixture against scikit-learn's and SciPy's densities."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from glo.errors import UserError
from glo.priors import MixturePrior, mixture
from glo.utils.random import normal

CENTRES = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0], [6.0, 6.0]])
MIX = torch.tensor([[0.5, 0.0], [0.4, 0.2]])


def clusters(n: int = 800) -> torch.Tensor:
    rows = normal(3, 0, n, 2, stream="codes") @ MIX.T
    return rows + CENTRES[torch.arange(n) % 4]


def parts(prior: MixturePrior) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    state = prior.state_dict()
    return state["weights"], state["means"], state["factors"] @ state["factors"].mT


def test_density_is_scipy_s() -> None:
    codes = clusters()
    prior = MixturePrior(components=3).fit(codes)
    terms = [
        math.log(w) + multivariate_normal(m, c).logpdf(codes)
        for w, m, c in zip(*parts(prior), strict=True)
    ]
    np.testing.assert_allclose(prior.log_prob(codes), logsumexp(terms, axis=0), rtol=1e-9)


def test_it_is_as_likely_as_scikit_learn_s() -> None:
    codes = clusters() - 0.8 * CENTRES[torch.arange(800) % 4]
    prior = MixturePrior(components=4, ridge=1e-6).fit(codes)
    theirs = GaussianMixture(4, random_state=0).fit(codes.numpy()).score(codes.numpy())
    assert float(prior.log_prob(codes).mean()) > theirs - 0.05


def test_it_counts_the_clusters() -> None:
    prior = MixturePrior().fit(clusters())
    weights, means, covariances = parts(prior)
    assert len(weights) == 4
    np.testing.assert_allclose(weights, [0.25] * 4, atol=0.01)
    assert torch.cdist(means.float(), CENTRES).min(0).values.max() < 0.15
    np.testing.assert_allclose(covariances.mean(0), MIX @ MIX.T, atol=0.2)


def test_one_gaussian_is_one_component() -> None:
    assert (
        len(MixturePrior().fit(normal(5, 0, 500, 4, stream="codes")).state_dict()["weights"]) == 1
    )


def test_samples_come_from_each_component_by_its_weight() -> None:
    codes = clusters()[torch.arange(800) % 4 != 3]
    drawn = MixturePrior(components=3).fit(codes).sample(6000, seed=2)
    counts = torch.cdist(drawn, CENTRES).argmin(1).bincount(minlength=4)
    np.testing.assert_allclose(counts / 6000, [1 / 3, 1 / 3, 1 / 3, 0], atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.numpy().T), np.cov(codes.numpy().T), atol=0.3)


def test_the_last_number_chooses_by_the_normal_distribution() -> None:
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    means = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    prior = MixturePrior().load_state_dict(
        {"weights": weights, "means": means, "factors": torch.full((3, 1, 1), 1e-9).double()}
    )
    # The normal distribution function is 0.2 at -0.8416 and 0.7 at 0.5244.
    last = torch.tensor([-40.0, -0.85, -0.83, 0.51, 0.54, 40.0])
    noise = torch.stack([torch.zeros(6), last], dim=1)
    assert prior.noise_dim == 2
    chosen = prior.from_noise(noise, temperature=1.0)[:, 0]
    torch.testing.assert_close(chosen, torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]))


def test_temperature_scales_each_component_about_its_mean() -> None:
    prior = MixturePrior(components=4).fit(clusters())
    still, near, far = (prior.sample(50, temperature=t) for t in (1e-12, 0.5, 2.0))
    torch.testing.assert_close((far - still) / 4, near - still, atol=1e-5, rtol=1e-4)
    assert torch.cdist(still.double(), parts(prior)[1]).min(1).values.max() < 1e-5


@pytest.mark.parametrize("components", [7, 50])
def test_more_components_than_codes(components: int) -> None:
    prior = MixturePrior(components=components).fit(clusters(7))
    assert len(prior.state_dict()["weights"]) == 7
    assert torch.isfinite(prior.sample(100)).all()


def test_costly_numbers_of_components_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    n, dim = 640, 2
    # Three rounds of one and of two components, but not of four.
    monkeypatch.setattr(mixture, "_MAX_SEARCH_OPERATIONS", 3 * 4 * n * 2 * dim**2)
    assert len(MixturePrior().fit(clusters(800)).state_dict()["weights"]) == 2


def test_the_ridge_is_a_share_of_the_variance() -> None:
    flat = torch.linspace(0, 1000, 50)[:, None] * torch.tensor([1.0, 1.0])
    for ridge in (1e-2, 1e-4):
        _, _, covariances = parts(MixturePrior(components=1, ridge=ridge).fit(flat))
        np.testing.assert_allclose(
            covariances[0, 0, 0], flat[:, 0].var(correction=0) * (1 + ridge), rtol=1e-4
        )


def test_the_denormal_mode_is_restored() -> None:
    tiny = torch.tensor([1e-40])
    for habit in (True, False):
        torch.set_flush_denormal(habit)
        try:
            MixturePrior(components=2).fit(clusters(40))
            assert bool(tiny * 2 == 0) is habit
        finally:
            torch.set_flush_denormal(False)


@pytest.mark.parametrize("settings", [{"components": 0}, {"ridge": 0.0}, {"ridge": math.nan}])
def test_invalid_settings_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        MixturePrior(**settings)  # type: ignore[arg-type]
