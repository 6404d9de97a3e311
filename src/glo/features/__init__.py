"""Frozen feature networks, used by losses and by metrics."""

from glo.features.base import Features, Thumbnails, embed
from glo.features.digits import DigitFeatures, DigitNetwork, digit_features
from glo.features.efficientnet import EfficientNetFeatures, efficientnet_features
from glo.features.loader import FEATURES, load_feature_layers, load_features
from glo.features.torchscript import TorchScriptFeatures, load_torchscript

__all__ = [
    "FEATURES",
    "DigitFeatures",
    "DigitNetwork",
    "EfficientNetFeatures",
    "Features",
    "Thumbnails",
    "TorchScriptFeatures",
    "digit_features",
    "efficientnet_features",
    "embed",
    "load_feature_layers",
    "load_features",
    "load_torchscript",
]
