"""Per-example losses of shape (B,): means over pixels that know a mask for missing values."""

from glo.losses.base import Loss
from glo.losses.combine import WeightedSum, parse_loss
from glo.losses.features import FeatureLoss
from glo.losses.lap1 import Lap1
from glo.losses.pointwise import AbsoluteError, SquaredError

__all__ = [
    "AbsoluteError",
    "FeatureLoss",
    "Lap1",
    "Loss",
    "SquaredError",
    "WeightedSum",
    "parse_loss",
]
