"""Per-example losses of shape (B,): means over pixels that know a mask for missing values."""

from glo.losses.base import Loss
from glo.losses.combine import WeightedSum, parse_loss
from glo.losses.features import FeatureLoss
from glo.losses.lap1 import Lap1Loss
from glo.losses.pointwise import L1Loss, MSELoss, l1, mse

__all__ = [
    "FeatureLoss",
    "L1Loss",
    "Lap1Loss",
    "Loss",
    "MSELoss",
    "WeightedSum",
    "l1",
    "mse",
    "parse_loss",
]
