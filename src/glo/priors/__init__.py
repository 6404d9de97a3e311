"""Densities on codes: new examples come from sampling them."""

from glo.priors.base import Prior, save_prior
from glo.priors.gaussian import GaussianPrior
from glo.priors.load import load_prior

__all__ = ["GaussianPrior", "Prior", "load_prior", "save_prior"]
