"""Measures of reconstructions and of samples, in the features of any network."""

from glo.metrics.fid_kid import frechet_distance, kernel_distance
from glo.metrics.memorisation import Memorisation, MemorisationTest, copying_score
from glo.metrics.prdc import PRDC, precision_recall_density_coverage
from glo.metrics.reconstruction import psnr, psnr_from_mse, ssim
from glo.metrics.reference import Distance, Reference

__all__ = [
    "PRDC",
    "Distance",
    "Memorisation",
    "MemorisationTest",
    "Reference",
    "copying_score",
    "frechet_distance",
    "kernel_distance",
    "precision_recall_density_coverage",
    "psnr",
    "psnr_from_mse",
    "ssim",
]
