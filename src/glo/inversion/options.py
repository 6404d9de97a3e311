"""Options of an inversion."""

import math
from dataclasses import dataclass
from typing import Literal, final

from glo.errors import UserError, suggest
from glo.inversion.objective import LogDensity
from glo.inversion.operators import Operator
from glo.latents.constraints import Constraint
from glo.losses import Loss
from glo.utils.device import Precision

__all__ = ["InversionOptions"]


@final
@dataclass(frozen=True, kw_only=True)
class InversionOptions:
    """Options of `glo.inversion.invert`.

    Args:
        operator: A in y = A(x), a differentiable function of a batch of examples; None: identity.
        loss: per-example loss of observations; None: squared error.
        residual_loss: loss in which residuals are reported and solutions ranked; None: `loss`.
        prior: regularizer of the codes. "none": none. "local": the Gaussian of the nearest initial
            codes, centered for each solution at its initial code. Else a log density of codes,
            (B, D) -> (B,), such as that of a mixture prior.
        noise: standard deviation of the observation's errors, those of the decoder included, above
            0; weighs loss against prior (see `Objective`). None: half the spread of the examples.
        n_solutions: K, number of solutions per observation, from 1 to the number of initial codes;
            the first begins at the mean of the nearest initial codes, each other at one of them.
        max_steps: maximum number of decodings per solution, at least 1.
        tolerance: relative decrease of the objective over five decodings below which a solution has
            converged, in [0, 1).
        constraint: constraint of the codes in training.
        precision: arithmetic of the decoder.

    Raises:
        UserError: a value out of range.

    Example:
        >>> InversionOptions(n_solutions=8, prior="local").max_steps
        60
    """

    operator: Operator | None = None
    loss: Loss | None = None
    residual_loss: Loss | None = None
    prior: Literal["none", "local"] | LogDensity = "none"
    noise: float | None = None
    n_solutions: int = 1
    max_steps: int = 60
    tolerance: float = 0.02
    constraint: Constraint = "ball"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name in ("n_solutions", "max_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; give an integer of at least 1.")
        if self.noise is not None and not 0 < self.noise < math.inf:
            raise UserError(f"noise is {self.noise:g}; give a standard deviation above 0.")
        if not 0 <= self.tolerance < 1:
            raise UserError(f"tolerance is {self.tolerance:g}; give a number in [0, 1).")
        if not callable(self.prior) and self.prior not in ("none", "local"):
            raise UserError(
                f"prior is {self.prior!r}; give 'none', 'local' or a function that returns the log "
                f"density of codes.{suggest(str(self.prior), ['none', 'local'])}"
            )
