"""The paper's prior: one Gaussian with full covariance."""

from collections.abc import Iterator
from typing import ClassVar, Self, final

import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint
from glo.priors.base import Prior, check_codes

__all__ = ["GaussianPrior"]

# Added to the covariance's diagonal as a share of the mean variance, so that repeated or flat
# codes still have a Cholesky factor.
_RIDGE = 1e-6


@final
class GaussianPrior(Prior):
    """Fit z ~ N(mean, covariance) to the codes.

    Args:
        constraint: what held for the codes.

    Raises:
        UserError: on sampling before fitting.

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

    def __init__(self, *, constraint: Constraint = "free") -> None:
        super().__init__(constraint=constraint)
        self.mean_: Tensor | None = None
        self.factor_: Tensor | None = None

    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Estimate mean and covariance of `codes`, (N, D); the seed plays no part."""
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
        if self.mean_ is None:
            raise UserError("This Gaussian prior was not fitted; call fit(codes) first.")
        return len(self.mean_)

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Return mean + temperature L e with L L^T the covariance and e the noise, (B, D)."""
        assert self.mean_ is not None, "noise_dim was asked for"
        assert self.factor_ is not None, "both are fitted"
        return (self.mean_ + temperature * noise.double() @ self.factor_.T).float()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mean (D,) and the Cholesky factor (D, D), float64."""
        assert self.mean_ is not None, "saved after fitting"
        assert self.factor_ is not None, "saved after fitting"
        return {"mean": self.mean_, "factor": self.factor_}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Take up what `state_dict` returned."""
        self.mean_, self.factor_ = state["mean"], state["factor"]
        return self
