"""The priors and the labels of a run, fitted on its codes."""

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
        folder: where they are saved.
        codes: (N, D), N above 1; of a very large run some of its codes.
        settings: of the run.
        n: N, examples of the run; None: number of codes.
        callback: called with the name of a prior and the share of its fit that is done.
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
    """Fit the label classifier and save it with the labels of all examples.

    Args:
        folder: where it is saved.
        codes: (N, D).
        labels: int64 (N,), -1 where a code has none.
        names: of the labels 0, 1, ..., or none.
        settings: of the run.
        every: int64 (N,), labels of all examples where the codes are some of a very large run.
    """
    classifier = LabelClassifier().fit(codes, labels, names=names, seed=settings.seed)
    classifier.training_labels = classifier.training_labels if every is None else every
    save_labels(classifier, folder)
