"""Gaussian prior with full covariance: the prior of the paper."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Self, final

import torch
from torch import Tensor

from glo.priors.base import Prior, check_codes

__all__ = ["GaussianPrior"]

# Added to the covariance's diagonal as a share of the mean variance, so that repeated or flat
# codes still have a Cholesky factor.
_RIDGE = 1e-6


@final
@dataclass(kw_only=True, eq=False)
class GaussianPrior(Prior):
    """Fit z ~ N(mean, covariance) to the codes.

    Args:
        constraint: constraint of the codes.

    Reference:
        Bojanowski et al., "Optimizing the Latent Space of Generative Networks", ICML 2018,
        section 3.

    Example:
        >>> from glo.utils.random import normal
        >>> codes = normal(0, 0, 1000, 2, stream="codes") * torch.tensor([1.0, 0.1])
        >>> GaussianPrior().fit(codes).sample(1000, seed=1).std(0).round(decimals=1)
        tensor([1.0000, 0.1000])
    """

    name: ClassVar[str] = "gaussian"
    mean_: Tensor | None = field(default=None, init=False, repr=False)
    factor_: Tensor | None = field(default=None, init=False, repr=False)

    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Estimate mean and covariance of `codes`, (N, D); the seed is unused."""
        rows = check_codes(codes)
        self.mean_ = rows.mean(0)
        centred = rows - self.mean_
        covariance = centred.T @ centred / len(rows)
        ridge = _RIDGE * float(covariance.diagonal().mean()) + 1e-12
        self.factor_ = torch.linalg.cholesky(covariance + ridge * torch.eye(rows.shape[1]))
        yield 1.0

    @property
    def noise_dim(self) -> int:
        """D."""
        return len(self._fitted(self.mean_))

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Return mean + temperature L e with L L^T the covariance and e the noise, (B, D)."""
        mean, factor = self._fitted(self.mean_), self._fitted(self.factor_)
        return (mean + temperature * noise.double() @ factor.T).float()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mean (D,) and the Cholesky factor (D, D), float64."""
        return {"mean": self._fitted(self.mean_), "factor": self._fitted(self.factor_)}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Set the tensors to those of `state_dict`, and return the prior itself."""
        self.mean_, self.factor_ = state["mean"], state["factor"]
        return self
