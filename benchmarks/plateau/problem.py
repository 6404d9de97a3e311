"""Images of the study, and baselines without training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_source
from glo.latents.init import PCA, fit_pca
from glo.utils.row_ranges import evenly_spaced

__all__ = ["Problem", "baselines", "mnist_problem"]

_SIZES = (8, 16, 32, 64, 128)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Training and unseen images.

    Args:
        train: digits to learn; a cell uses the first so many.
        test: digits that no cell learns.
        unseen: how many of them are searched for.
        limit: the most images a cell may use, or None; for trials.
        epochs: passes instead of those of the cells, or None; for trials.
    """

    train: Dataset
    test: Dataset
    unseen: int = 500
    limit: int | None = None
    epochs: int | None = None

    @cached_property
    def unseen_images(self) -> Tensor:
        """Unseen images, (n, C, H, W), evenly spaced in the test set."""
        return self.test.batch(evenly_spaced(len(self.test), min(self.unseen, len(self.test))))

    def first(self, n: int) -> Dataset:
        """Return the first `n` training images, or fewer under a limit."""
        most = min(n, len(self.train), self.limit or n)
        return self.train.subset(np.arange(most))


def mnist_problem(*, limit: int | None, epochs: int | None, unseen: int) -> Problem:
    """Return the problem on MNIST at 32 x 32."""
    train, test = (
        open_source("mnist", SourceOptions(size=32, split=split)) for split in ("train", "test")
    )
    return Problem(train=train, test=test, unseen=unseen, limit=limit, epochs=epochs)


def baselines(problem: Problem, numbers: tuple[int, ...]) -> dict[str, Any]:
    """Return the errors of the baselines, for some sizes of the training set.

    Each was fitted on the first N training images, and measured on those ("train") and on the
    unseen images ("unseen"): the mean image, the mean image of the right class (given the label),
    PCA by size. `stretched` is the mean image of images that were each stretched to 0..255 and
    divided by 128, as in the TensorLayer project.
    """
    return {str(n): _of(problem, problem.first(n)) for n in numbers}


def _of(problem: Problem, samples: Dataset) -> dict[str, Any]:
    dim = min(max(_SIZES), len(samples))
    pca = fit_pca(samples, dim)
    unseen = problem.unseen_images
    sizes = [size for size in _SIZES if size <= dim]
    return {
        "n": len(samples),
        "mean_image": {
            "train": pca.mean_image_mse,
            "unseen": float((unseen.flatten(1) - pca.mean).square().mean()),
        },
        "class_mean": _class_mean(problem, samples),
        "pca": {
            str(size): {"train": _left(pca, size), "unseen": _unseen_error(pca, size, unseen)}
            for size in sizes
        },
        "black": _mean_over(samples, lambda images: (images + 1.0).square().mean(1)),
        "stretched": _stretched(samples),
    }


def _left(pca: PCA, size: int) -> float:
    width = len(pca.mean)
    return pca.mean_image_mse - float(pca.variances[:size].double().sum()) / width


def _unseen_error(pca: PCA, size: int, images: Tensor) -> float:
    centred, basis = images.flatten(1) - pca.mean, pca.components[:size]
    return float((centred - centred @ basis.T @ basis).square().mean())


def _mean_over(samples: Dataset, measure: Any) -> float:
    parts = torch.arange(len(samples)).split(2048)
    sums = [measure(samples.batch(rows).flatten(1)).double().sum() for rows in parts]
    return float(sum(sums)) / len(samples)


def _class_mean(problem: Problem, samples: Dataset) -> dict[str, float]:
    assert samples.labels is not None, "digits have labels"
    assert problem.test.labels is not None, "digits have labels"
    images = samples.batch(torch.arange(len(samples))).flatten(1)
    labels = torch.from_numpy(np.array(samples.labels))
    kinds = sorted(set(labels.tolist()))
    means = {kind: images[labels == kind].mean(0) for kind in kinds}
    inside = sum(float((images[labels == kind] - means[kind]).square().sum()) for kind in kinds)
    unseen = problem.unseen_images.flatten(1)
    rows = evenly_spaced(len(problem.test), len(unseen))
    overall = images.mean(0)
    guess = torch.stack([means.get(int(problem.test.labels[row]), overall) for row in rows])
    return {"train": inside / images.numel(), "unseen": float((unseen - guess).square().mean())}


def _stretched(samples: Dataset) -> float:
    images = samples.batch(torch.arange(len(samples))).flatten(1)
    low, high = images.amin(1, keepdim=True), images.amax(1, keepdim=True)
    # A blank picture has nothing to stretch.
    images = (images - low) / (high - low).clamp(min=1e-6) * 255 / 128 - 1
    return float((images - images.mean(0)).square().mean())
