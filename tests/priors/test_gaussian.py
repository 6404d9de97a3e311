"""The Gaussian prior against NumPy's moments."""

import numpy as np
import torch

from glo.priors import GaussianPrior
from glo.utils.random import normal

MIX = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.2, 0.1]])


def test_it_keeps_mean_and_covariance() -> None:
    codes = normal(1, 0, 4000, 3, stream="samples") @ MIX.T + torch.tensor([1.0, -2.0, 0.5])
    prior = GaussianPrior().fit(codes)
    assert prior.mean_ is not None
    assert prior.factor_ is not None
    np.testing.assert_allclose(prior.mean_, codes.double().mean(0), rtol=1e-12)
    covariance = np.cov(codes.double().numpy().T, bias=True)
    np.testing.assert_allclose(prior.factor_ @ prior.factor_.T, covariance, atol=1e-5)
    drawn = prior.sample(20_000, seed=2).double().numpy()
    np.testing.assert_allclose(drawn.mean(0), prior.mean_, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.05)


def test_temperature_scales_the_distance_from_the_mean() -> None:
    prior = GaussianPrior().fit(normal(1, 0, 100, 3, stream="samples") @ MIX.T + 5.0)
    mean = prior.mean_
    assert mean is not None
    far, near = prior.sample(50, temperature=2.0), prior.sample(50, temperature=0.5)
    torch.testing.assert_close((far - mean) / 4, near - mean, rtol=1e-4, atol=1e-5)
