"""Codes with mean zero and covariance one, and the way back."""

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

__all__ = ["Whitening"]

# Added to every eigenvalue of the correlation matrix, so that directions in which the codes do
# not vary still have a Cholesky factor.
_RIDGE = 1e-6
# A column whose spread is below this share of its mean is constant as far as float32 can tell.
_FLAT = 1e-6


@final
@dataclass(frozen=True)
class Whitening:
    """Map codes to numbers with mean zero and covariance one: z = mean + F x.

    F = diag(s) L, with s the standard deviations and L the Cholesky factor of the correlations.
    Where codes do not vary at all, x is zero.

    Attributes:
        mean: float64 (D,).
        factor: F, float64 (D, D), lower triangular with a positive diagonal.

    Example:
        >>> from glo.utils.random import normal
        >>> codes = normal(0, 0, 500, 2, stream="codes") * torch.tensor([3.0, 0.1]) + 5.0
        >>> whiten = Whitening.fit(codes.double())
        >>> torch.cov(whiten.forward(codes).T).round(decimals=2).abs()
        tensor([[1., 0.],
                [0., 1.]], dtype=torch.float64)
        >>> torch.allclose(whiten.inverse(whiten.forward(codes)), codes.double())
        True
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, codes: Tensor) -> Self:
        """Measure `codes`, float64 (N, D) with N >= 2."""
        mean = codes.mean(0)
        centred = codes - mean
        spread = centred.square().mean(0).sqrt()
        # The absolute floor keeps zeros apart from divisions by zero.
        scale = torch.maximum(spread, _FLAT * mean.abs() + 1e-12)
        ready = centred / scale
        correlation = ready.T @ ready / len(codes)
        ridge = _RIDGE * torch.eye(len(mean), dtype=codes.dtype)
        return cls(mean, scale[:, None] * torch.linalg.cholesky(correlation + ridge))

    def forward(self, codes: Tensor) -> Tensor:
        """Return x = F^-1 (z - mean), float64 (B, D), for codes (B, D)."""
        centred = codes.double() - self.mean
        ready: Tensor = torch.linalg.solve_triangular(self.factor, centred.T, upper=False)
        return ready.T.contiguous()

    def inverse(self, ready: Tensor) -> Tensor:
        """Return z = mean + F x, float64 (B, D), for x (B, D)."""
        back: Tensor = self.mean + ready.double() @ self.factor.T
        return back

    @property
    def log_det(self) -> float:
        """log |det dx / dz| = -sum log F_dd."""
        return -float(self.factor.diagonal().log().sum())

    def state_dict(self) -> dict[str, Tensor]:
        """Return mean and factor, under names that no network has."""
        return {"standardise.mean": self.mean, "standardise.factor": self.factor}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> Self:
        """Take up what `state_dict` returned, among other tensors."""
        return cls(state["standardise.mean"], state["standardise.factor"])
