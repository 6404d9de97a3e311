"""Measures of reconstructions and of samples, in the features of any network."""

from glo.metrics.digits import DigitFeatures, DigitNetwork, digit_features
from glo.metrics.distances import frechet_distance, kernel_distance
from glo.metrics.features import Features, Thumbnails, embed
from glo.metrics.imagenet import EfficientNetFeatures, efficientnet_features
from glo.metrics.load import FEATURES, load_features
from glo.metrics.memorisation import CopyTest, Memorisation, copying_score
from glo.metrics.neighbours import Neighbours, precision_recall_density_coverage
from glo.metrics.reconstruction import mse, psnr, ssim
from glo.metrics.script import ScriptFeatures, read_script
from glo.metrics.yardstick import Distance, Yardstick

__all__ = [
    "FEATURES",
    "CopyTest",
    "DigitFeatures",
    "DigitNetwork",
    "Distance",
    "EfficientNetFeatures",
    "Features",
    "Memorisation",
    "Neighbours",
    "ScriptFeatures",
    "Thumbnails",
    "Yardstick",
    "copying_score",
    "digit_features",
    "efficientnet_features",
    "embed",
    "frechet_distance",
    "kernel_distance",
    "load_features",
    "mse",
    "precision_recall_density_coverage",
    "psnr",
    "read_script",
    "ssim",
]
