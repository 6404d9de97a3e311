"""Calibration of flow matching: samples have the moments of the codes and their distances."""

import pytest
import torch
from torch import Tensor

from glo.latents.neighbours import nearest
from glo.priors import FlowMatchingPrior, build_prior
from glo.priors.whitening import Whitening
from glo.utils.random import normal


def ring(n: int, start: int = 0) -> Tensor:
    """Points near an ellipse, which no Gaussian and no coarse mixture fits."""
    noise = normal(3, start, n, 3, stream="codes")
    angle = 2 * torch.pi * torch.special.ndtr(noise[:, 0])
    rows = torch.stack([angle.cos(), 0.3 * angle.sin(), 0.05 * noise[:, 2]], 1)
    return rows + 0.1 * noise + torch.tensor([0.2, -0.1, 0.0])


@pytest.fixture(scope="module")
def fitted() -> FlowMatchingPrior:
    prior = FlowMatchingPrior(
        constraint="free", steps=200, batch_size=256, width=32, blocks=1, components=4
    )
    return prior.fit(ring(2000))


def test_samples_of_a_short_fit_have_the_moments_of_the_codes(fitted: FlowMatchingPrior) -> None:
    samples, codes = fitted.sample(20_000, seed=5).double(), ring(2000).double()
    spread = codes.std(0)
    torch.testing.assert_close(samples.mean(0) / spread, codes.mean(0) / spread, atol=0.1, rtol=0)
    scale = spread[:, None] * spread
    torch.testing.assert_close(
        torch.cov(samples.T) / scale, torch.cov(codes.T) / scale, atol=0.1, rtol=0
    )


def test_samples_are_as_near_to_codes_as_new_codes_are(fitted: FlowMatchingPrior) -> None:
    white = Whitening.fit(ring(2000).double()).forward
    distances = [
        float(nearest(white(rows), white(ring(2000)))[0].median())
        for rows in (fitted.sample(4000, seed=5), ring(4000, start=2000))
    ]
    assert 0.8 <= float(fitted.spread_) < 1.0
    assert distances[0] == pytest.approx(distances[1], rel=0.15)


def test_a_loaded_prior_draws_the_same_samples(fitted: FlowMatchingPrior) -> None:
    again = build_prior("flow-matching", **fitted.config).load_state_dict(fitted.state_dict())
    assert torch.equal(again.sample(50, seed=1), fitted.sample(50, seed=1))
