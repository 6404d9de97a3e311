"""Whitening of codes to mean zero and covariance one, and its inverse."""

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

__all__ = ["Whitening"]

# Added to every eigenvalue of the correlation matrix, so that directions without variance still
# have a Cholesky factor.
_RIDGE = 1e-6
# A column whose spread is below this share of its mean is constant in float32.
_MIN_RELATIVE_SPREAD = 1e-6


@final
@dataclass(frozen=True)
class Whitening:
    """Map codes z to x with mean zero and covariance one: z = mean + F x.

    F = diag(s) L, with s the standard deviations and L the Cholesky factor of the correlations.
    In directions without variance x is zero.

    Attributes:
        mean: float64 (D,).
        factor: F, float64 (D, D), lower triangular with a positive diagonal.

    Example:
        >>> from glo.utils.random import normal
        >>> codes = normal(0, 0, 500, 2, stream="codes") * torch.tensor([3.0, 0.1]) + 5.0
        >>> whitening = Whitening.fit(codes.double())
        >>> torch.cov(whitening.forward(codes).T).round(decimals=2).abs()
        tensor([[1., 0.],
                [0., 1.]], dtype=torch.float64)
        >>> torch.allclose(whitening.inverse(whitening.forward(codes)), codes.double())
        True
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, codes: Tensor) -> Self:
        """Estimate mean and factor of `codes`, float64 (N, D) with N >= 2."""
        mean = codes.mean(0)
        centered = codes - mean
        spread = centered.square().mean(0).sqrt()
        # The absolute bound avoids a division by zero.
        scale = torch.maximum(spread, _MIN_RELATIVE_SPREAD * mean.abs() + 1e-12)
        standardized = centered / scale
        correlation = standardized.T @ standardized / len(codes)
        ridge = _RIDGE * torch.eye(len(mean), dtype=codes.dtype)
        return cls(mean, scale[:, None] * torch.linalg.cholesky(correlation + ridge))

    def forward(self, codes: Tensor) -> Tensor:
        """Return x = F^-1 (z - mean), float64 (B, D), for codes (B, D)."""
        centered = codes.double() - self.mean
        white: Tensor = torch.linalg.solve_triangular(self.factor, centered.T, upper=False)
        return white.T.contiguous()

    def inverse(self, white: Tensor) -> Tensor:
        """Return z = mean + F x, float64 (B, D), for x (B, D)."""
        codes: Tensor = self.mean + white.double() @ self.factor.T
        return codes

    def then_inverse(self, other: "Whitening") -> "Whitening":
        """Return the whitening whose inverse whitens by this one and colors by the other.

        It maps rows with the moments of this one to rows with those of the other.
        """
        factor = torch.linalg.solve_triangular(self.factor, other.factor, upper=False, left=False)
        return Whitening(other.mean - factor @ self.mean, factor)

    @property
    def log_det(self) -> float:
        """log |det dx / dz| = -sum log F_dd."""
        return -float(self.factor.diagonal().log().sum())

    def state_dict(self) -> dict[str, Tensor]:
        """Return mean and factor with the prefix `whitening.`."""
        return {"whitening.mean": self.mean, "whitening.factor": self.factor}

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> Self:
        """Create the whitening from its tensors, among others."""
        return cls(state["whitening.mean"], state["whitening.factor"])
