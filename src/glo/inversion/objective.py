"""What a search lowers: how badly a code explains an observation, and how unlikely the code is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.inversion.frozen import Frozen
from glo.inversion.operators import Operator
from glo.losses import Loss

__all__ = ["LogDensity", "Objective", "Value", "highest"]

LogDensity = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Value:
    """The objective at B codes.

    Attributes:
        total: (B,), loss and prior term.
        residual: (B,), the loss alone, or what was asked for in its place.
        gradient: (B, D), of the total, each row of its own.
    """

    total: Tensor
    residual: Tensor
    gradient: Tensor


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """f(z) = loss(A(g(z)), y) - w log p(z), for each observation y.

    If the numbers of an observation differ from A(g(z)) by independent noise of standard deviation
    s, the log posterior of z is -|A(g(z)) - y|^2 / 2s^2 + log p(z). As a loss is a mean over the
    n numbers that are known, f is that posterior, up to its scale, with w = 2 s^2 / n: the less is
    known, the more the prior counts.

    Args:
        decode: g.
        operator: A; None sees the example as it is.
        loss: per example, of the observation.
        measure: what residuals are told in; None: the loss.
        target: y, (n, *shape').
        observed: 1 where the target is known, (n, ...) or (1, ...); None if all is.
        weights: w, (n,).
        log_density: of codes, (B, D) -> (B,); None where there is none.
        peak: about the highest log density there is. It is subtracted, so that the objective has
            its zero near where nothing is left to explain, and shares of it mean something.
    """

    decode: Frozen
    operator: Operator | None
    loss: Loss
    target: Tensor
    observed: Tensor | None
    weights: Tensor
    log_density: LogDensity | None
    peak: float = 0.0
    measure: Loss | None = None

    def at(
        self, codes: Tensor, rows: Tensor, centres: Tensor | None, precision: Tensor | None
    ) -> Value:
        """Return the objective at `codes`, (B, D), each of the observation `rows`, (B,).

        Args:
            codes: (B, D).
            rows: int64 (B,).
            centres: (B, D), means of a Gaussian for each code, which adds to the prior term.
            precision: (B, D, D), inverse covariances of those Gaussians; None for no such term.
        """
        codes = codes.detach().requires_grad_()
        with torch.enable_grad():
            output = self.decode(codes)
            seen = output if self.operator is None else self.operator(output)
            target, observed = self.target[rows], self._observed(rows)
            total = residual = self.loss(seen, target, observed)
            if self.measure is not None:
                residual = self.measure(seen.detach(), target, observed)
            if self.log_density is not None:
                density = self.log_density(codes) - self.peak
                total = total - self.weights[rows] * density.to(residual.dtype)
            if centres is not None and precision is not None:
                apart = codes - centres
                energy = 0.5 * (precision @ apart.unsqueeze(2)).squeeze(2).mul(apart).sum(1)
                total = total + self.weights[rows] * energy
            (gradient,) = torch.autograd.grad(total.sum(), codes)
        return Value(total=total.detach(), residual=residual.detach(), gradient=gradient)

    def _observed(self, rows: Tensor) -> Tensor | None:
        if self.observed is None or len(self.observed) == 1:
            return self.observed
        return self.observed[rows]


@torch.no_grad()
def highest(log_density: LogDensity, codes: Tensor) -> float:
    """Return the highest log density of any of `codes`, (N, D).

    Example:
        >>> highest(lambda codes: -codes.square().sum(1), torch.tensor([[1.0, 2.0], [0.5, 0.0]]))
        -0.25
    """
    return max(float(log_density(part).max()) for part in codes.split(4096))
