"""Frozen feature networks, used by losses and by metrics."""

from glo.features.base import Features, Thumbnails, embed
from glo.features.digits import DigitFeatures, DigitNetwork, digit_features
from glo.features.imagenet import EfficientNetFeatures, efficientnet_features
from glo.features.loader import FEATURES, load_features
from glo.features.torchscript import ScriptFeatures, read_script

__all__ = [
    "DigitFeatures",
    "DigitNetwork",
    "EfficientNetFeatures",
    "FEATURES",
    "Features",
    "ScriptFeatures",
    "Thumbnails",
    "digit_features",
    "efficientnet_features",
    "embed",
    "load_features",
    "read_script",
]
