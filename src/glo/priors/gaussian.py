"""The paper's prior: one Gaussian with full covariance."""

from typing import ClassVar, Self, final

import torch
from torch import Tensor

from glo.codes import Constraint
from glo.draws import normal
from glo.errors import UserError
from glo.priors.base import Prior, check_codes

__all__ = ["GaussianPrior"]

# Added to the covariance's diagonal as a share of the mean variance, so that repeated or flat
# codes still have a Cholesky factor.
_RIDGE = 1e-6
_MOST_NUMBERS = 2**22


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
        >>> codes = normal(0, 0, 1000, 2, stream="codes") * torch.tensor([1.0, 0.1])
        >>> GaussianPrior().fit(codes).sample(1000, seed=1).std(0).round(decimals=1)
        tensor([1.0000, 0.1000])
    """

    name: ClassVar[str] = "gaussian"

    def __init__(self, *, constraint: Constraint = "free") -> None:
        super().__init__(constraint=constraint)
        self.mean_: Tensor | None = None
        self.factor_: Tensor | None = None

    def fit(self, codes: Tensor, *, seed: int = 0) -> Self:
        """Estimate mean and covariance of `codes`, (N, D); the seed plays no part."""
        rows = check_codes(codes)
        self.mean_ = rows.mean(0)
        centred = rows - self.mean_
        covariance = centred.T @ centred / len(rows)
        ridge = _RIDGE * float(covariance.diagonal().mean()) + 1e-12
        self.factor_ = torch.linalg.cholesky(covariance + ridge * torch.eye(rows.shape[1]))
        return self

    def draw(self, n: int, *, seed: int, start: int, temperature: float) -> Tensor:
        """Return mean + temperature L e with L L^T the covariance and e ~ N(0, I), (n, D)."""
        if self.mean_ is None or self.factor_ is None:
            raise UserError("This Gaussian prior was not fitted; call fit(codes) first.")
        noise = normal(seed, start, n, len(self.mean_), stream="samples").double()
        # One row at a time in effect: a sum over D in a fixed order, whatever n is. In parts, since
        # every row takes D^2 numbers.
        parts = noise.split(max(1, _MOST_NUMBERS // self.factor_.numel()))
        spread = torch.cat([(part.unsqueeze(1) * self.factor_).sum(2) for part in parts])
        return (self.mean_ + temperature * spread).float()

    def state(self) -> dict[str, Tensor]:
        """Return the mean (D,) and the Cholesky factor (D, D), float64."""
        assert self.mean_ is not None, "saved after fitting"
        assert self.factor_ is not None, "saved after fitting"
        return {"mean": self.mean_, "factor": self.factor_}

    def restore(self, state: dict[str, Tensor]) -> Self:
        """Take up what `state` gave."""
        self.mean_, self.factor_ = state["mean"], state["factor"]
        return self
