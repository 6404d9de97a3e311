"""Per-example losses of shape (B,), which ignore missing values by a mask."""

from glo.losses.base import Loss
from glo.losses.combine import WeightedSum, parse_loss
from glo.losses.features import FeatureLoss
from glo.losses.laplacian_pyramid import Lap1Loss, lap1
from glo.losses.pointwise import L1Loss, MSELoss, l1, mse

__all__ = [
    "FeatureLoss",
    "L1Loss",
    "Lap1Loss",
    "Loss",
    "MSELoss",
    "WeightedSum",
    "l1",
    "lap1",
    "mse",
    "parse_loss",
]
