"""Sums of losses, and how they are written on a command line."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.errors import UserError, suggest
from glo.losses.base import Loss
from glo.losses.lap1 import Lap1
from glo.losses.pointwise import AbsoluteError, SquaredError

__all__ = ["WeightedSum", "parse_loss"]

LOSSES: dict[str, Callable[[], Loss]] = {"mse": SquaredError, "l1": AbsoluteError, "lap1": Lap1}


@final
@dataclass(frozen=True, kw_only=True)
class WeightedSum(Loss):
    """Add losses: sum_k w_k loss_k(x, y).

    Args:
        terms: pairs of a positive weight and a loss.

    Raises:
        UserError: if there is no term or a weight is not positive and finite.

    Example:
        >>> both = WeightedSum(terms=((0.5, SquaredError()), (1.0, AbsoluteError())))
        >>> both(torch.full((1, 2), 2.0), torch.zeros(1, 2))
        tensor([4.])
    """

    terms: tuple[tuple[float, Loss], ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise UserError("A weighted sum of losses needs at least one term; none was given.")
        for weight, _ in self.terms:
            if not (weight > 0 and math.isfinite(weight)):
                raise UserError(f"The weight of a loss must be a number above 0, not {weight!r}.")

    def __call__(
        self, prediction: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Return the weighted sum of each row's losses, (B,)."""
        each = [weight * loss(prediction, target, observed) for weight, loss in self.terms]
        return torch.stack(each).sum(0)


def parse_loss(text: str) -> Loss:
    """Read a loss as written on a command line.

    Args:
        text: 'mse', 'l1', 'lap1', or a sum of these with weights such as '0.5*mse+lap1'.

    Raises:
        UserError: if a name is unknown or a weight is not a number above 0.

    Example:
        >>> parse_loss("mse")
        SquaredError()
        >>> parse_loss("0.5*mse + l1")
        WeightedSum(terms=((0.5, SquaredError()), (1.0, AbsoluteError())))
    """
    # A plus sign inside a number, as in 1e+3, does not part two terms.
    terms = tuple(_term(word.strip(), text) for word in re.split(r"(?<![\d.][eE])\+", text))
    if len(terms) == 1 and terms[0][0] == 1.0:
        return terms[0][1]
    return WeightedSum(terms=terms)


def _term(word: str, text: str) -> tuple[float, Loss]:
    weight, star, name = (part.strip() for part in word.rpartition("*"))
    if name not in LOSSES:
        raise UserError(
            f"There is no loss '{name}' in '{text}'; choose mse, l1, lap1 or a sum such as "
            f"'0.5*mse+lap1'.{suggest(name, LOSSES)}"
        )
    if not star:
        return 1.0, LOSSES[name]()
    try:
        return float(weight), LOSSES[name]()
    except ValueError:
        raise UserError(
            f"The weight '{weight}' in '{text}' is not a number; write a term as '0.5*{name}'."
        ) from None
