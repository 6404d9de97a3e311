"""Objective of a search: loss of the observation and negative log density of the code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.inversion.operators import Operator
from glo.losses import Loss

__all__ = ["LogDensity", "Objective", "max_log_density"]

LogDensity = Callable[[Tensor], Tensor]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """f(z) = loss(A(g(z)), y) - w log p(z), for each observation y.

    If the numbers of an observation differ from A(g(z)) by independent noise of standard deviation
    s, the log posterior of z is -|A(g(z)) - y|^2 / 2s^2 + log p(z). As a loss is a mean over the
    n observed numbers, f is that posterior, up to its scale, with w = 2 s^2 / n: the fewer numbers
    are observed, the more the prior counts.

    Args:
        decode: g.
        operator: A; None: identity.
        loss: per-example loss of observations.
        residual_loss: loss of the residuals; None: `loss`.
        target: y, (n, *shape').
        mask: 1 where the target is observed, (n, ...) or (1, ...); None: all is observed.
        weights: w, (n,).
        log_density: log density of codes, (B, D) -> (B,); None: no such term.
        peak: about the highest log density. It is subtracted, so that the objective of a perfect
            code is near zero and relative changes of it have a meaning.
    """

    decode: Callable[[Tensor], Tensor]
    operator: Operator | None
    loss: Loss
    target: Tensor
    mask: Tensor | None
    weights: Tensor
    log_density: LogDensity | None
    peak: float = 0.0
    residual_loss: Loss | None = None

    def evaluate(
        self, codes: Tensor, rows: Tensor, centers: Tensor | None, precision: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute objective (B,), residual loss (B,) and gradient (B, D) at `codes`, (B, D).

        Code i belongs to observation `rows[i]`. `centers` (B, D) and `precision` (B, D, D) are the
        means and inverse covariances of a Gaussian for each code, which adds to the prior term.
        """
        codes = codes.detach().requires_grad_()
        with torch.enable_grad():
            output = self.decode(codes)
            observation = output if self.operator is None else self.operator(output)
            target, mask = self.target[rows], self.mask
            if mask is not None and len(mask) > 1:
                mask = mask[rows]
            total = residual = self.loss(observation, target, mask)
            if self.residual_loss is not None:
                residual = self.residual_loss(observation.detach(), target, mask)
            if self.log_density is not None:
                density = self.log_density(codes) - self.peak
                total = total - self.weights[rows] * density.to(residual.dtype)
            if centers is not None and precision is not None:
                offset = codes - centers
                energy = 0.5 * (precision @ offset.unsqueeze(2)).squeeze(2).mul(offset).sum(1)
                total = total + self.weights[rows] * energy
            (gradient,) = torch.autograd.grad(total.sum(), codes)
        return total.detach(), residual.detach(), gradient


@torch.no_grad()
def max_log_density(log_density: LogDensity, codes: Tensor) -> float:
    """Return the highest log density of any of `codes`, (N, D)."""
    return max(float(log_density(part).max()) for part in codes.split(4096))
