"""Weighted sums of losses, and the parser of their spelling in the settings."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.errors import UserError, suggest
from glo.features.loader import load_feature_layers
from glo.losses.base import Loss
from glo.losses.features import FeatureLoss
from glo.losses.laplacian_pyramid import Lap1Loss
from glo.losses.pointwise import L1Loss, MSELoss

# Constructors, with the name of the feature network, which one of them needs.
LOSSES: dict[str, Callable[[str], Loss]] = {
    "mse": lambda _: MSELoss(),
    "l1": lambda _: L1Loss(),
    "lap1": lambda _: Lap1Loss(),
    "features": lambda features: FeatureLoss(network=load_feature_layers(features)),
}


@final
@dataclass(frozen=True, kw_only=True)
class WeightedSum(Loss):
    """Add losses: sum_k w_k loss_k(x, y).

    Args:
        terms: pairs of a positive weight and a loss.

    Raises:
        UserError: there is no term, or a weight is not positive and finite.

    Example:
        >>> both = WeightedSum(terms=((0.5, MSELoss()), (1.0, L1Loss())))
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

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the weighted sum of each row's losses, (B,)."""
        terms = [weight * loss(output, target, mask) for weight, loss in self.terms]
        return torch.stack(terms).sum(0)


def parse_loss(text: str, *, features: str = "efficientnet") -> Loss:
    """Parse a loss as it is spelled in the settings.

    Args:
        text: 'mse', 'l1', 'lap1', 'features', or a sum of these with weights such as
            '0.5*mse+lap1'.
        features: network of 'features', as for `glo.features.load_feature_layers`; ignored by a
            loss without features.

    Raises:
        UserError: a name is unknown, a weight is not a number above 0, or the network cannot be
            loaded.

    Example:
        >>> parse_loss("mse")
        MSELoss()
        >>> parse_loss("0.5*mse + l1")
        WeightedSum(terms=((0.5, MSELoss()), (1.0, L1Loss())))
    """
    # A plus sign inside a number, as in 1e+3, does not separate two terms.
    words = re.split(r"(?<![\d.][eE])\+", text)
    terms = tuple(_term(word.strip(), text, features) for word in words)
    if len(terms) == 1 and terms[0][0] == 1.0:
        return terms[0][1]
    return WeightedSum(terms=terms)


def _term(word: str, text: str, features: str) -> tuple[float, Loss]:
    weight, star, name = (part.strip() for part in word.rpartition("*"))
    if name not in LOSSES:
        raise UserError(
            f"There is no loss '{name}' in '{text}'; choose mse, l1, lap1, features or a sum such "
            f"as '0.5*mse+lap1'.{suggest(name, LOSSES)}"
        )
    if not star:
        return 1.0, LOSSES[name](features)
    try:
        number = float(weight)
    except ValueError:
        raise UserError(
            f"The weight '{weight}' in '{text}' is not a number; write a term as '0.5*{name}'."
        ) from None
    return number, LOSSES[name](features)
