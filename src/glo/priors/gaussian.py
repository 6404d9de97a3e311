"""Gaussian prior with full covariance: the prior of the paper."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor

from glo.priors.base import Prior, check_codes
from glo.utils.torch_defaults import with_torch_defaults

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

    Attributes:
        mean_: float64 (D,), None before fitting.
        factor_: Cholesky factor of the covariance, float64 (D, D), None before fitting.

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
    tensors: ClassVar[tuple[str, ...]] = ("mean", "factor")
    mean_: Tensor | None = field(default=None, init=False, repr=False)
    factor_: Tensor | None = field(default=None, init=False, repr=False)

    @with_torch_defaults
    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Estimate mean and covariance of `codes`, (N, D); the seed is unused."""
        rows = check_codes(codes)
        self.mean_ = rows.mean(0)
        centered = rows - self.mean_
        covariance = centered.T @ centered / len(rows)
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
