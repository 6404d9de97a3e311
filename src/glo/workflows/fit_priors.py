"""Fit of the priors and the label classifier of a run."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from glo.config.settings import Settings
from glo.priors import GaussianPrior, LabelClassifier, Prior, build_prior, save_labels, save_prior
from glo.training.factory import prior_config, prior_name

__all__ = ["fit_labels", "fit_priors"]


def fit_priors(
    folder: Path,
    codes: Tensor,
    settings: Settings,
    *,
    n: int | None = None,
    callback: Callable[[str, float], None] | None = None,
) -> list[Prior]:
    """Fit the paper's Gaussian, as a baseline, and the prior of the run; save and return them.

    Args:
        folder: folder of the priors.
        codes: (N, D), N above 1; a subset for a very large run.
        settings: settings of the run.
        n: N, examples of the run; None: number of codes.
        callback: function of the name of a prior and the fraction of its fit done.
    """
    n = len(codes) if n is None else n
    names = dict.fromkeys([GaussianPrior.name, prior_name(settings, n)])
    priors = [build_prior(name, **prior_config(name, settings, n)) for name in names]
    for prior in priors:
        for share in prior.fit_iter(codes, seed=settings.seed):
            if callback is not None:
                callback(prior.name, share)
        save_prior(prior, folder)
    return priors


def fit_labels(
    folder: Path,
    codes: Tensor,
    labels: Tensor,
    names: tuple[str, ...],
    settings: Settings,
    *,
    every: Tensor | None = None,
) -> None:
    """Fit the label classifier and save it with the labels of all examples, if any is labeled.

    Args:
        folder: folder of the classifier.
        codes: (N, D).
        labels: int64 (N,), -1 where missing.
        names: names of the classes 0, 1, ....
        settings: settings of the run.
        every: int64 (n,), labels of all examples where `codes` is a subset.
    """
    if not bool((labels >= 0).any()):
        return
    classifier = LabelClassifier().fit(codes, labels, names=names, seed=settings.seed)
    classifier.training_labels = classifier.training_labels if every is None else every
    save_labels(classifier, folder)
