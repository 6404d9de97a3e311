"""Priors: densities on codes, sampled for new examples."""

from glo.priors.base import Prior
from glo.priors.flow_matching import FlowMatchingPrior
from glo.priors.gaussian import GaussianPrior
from glo.priors.imle import IMLEPrior
from glo.priors.label_classifier import LabelClassifier, load_labels, sample_label, save_labels
from glo.priors.mixture import MixturePrior
from glo.priors.normalizing_flow import NormalizingFlowPrior
from glo.priors.serialization import build_prior, load_prior, save_prior

__all__ = [
    "FlowMatchingPrior",
    "GaussianPrior",
    "IMLEPrior",
    "LabelClassifier",
    "MixturePrior",
    "NormalizingFlowPrior",
    "Prior",
    "build_prior",
    "load_labels",
    "load_prior",
    "sample_label",
    "save_labels",
    "save_prior",
]
