"""Plan of an evaluation: rows, features and priors, with every check before the long work."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from glo.data import Dataset, open_source
from glo.errors import UserError
from glo.features.base import Features, Thumbnails
from glo.features.digits import DigitFeatures, digit_features
from glo.features.efficientnet import efficientnet_features
from glo.features.loader import load_features
from glo.priors import Prior
from glo.runs.run import Run
from glo.runs.training_data import check_shape, find_sources, source_options
from glo.utils.random import permutation

__all__ = ["ColumnFeatures", "EvaluationPlan", "FeatureChoice", "choose_features", "prepare"]

Source = str | Path | Dataset

# Five neighbours of an example, and the example.
_MIN_EXAMPLES = 6


@final
@dataclass(frozen=True, kw_only=True)
class FeatureChoice:
    """Features in which examples are compared.

    Attributes:
        distances: features of the distances.
        memorisation: features of the memorisation test: the same, or thumbnails where these are too
            slow for every training example.
        reason: reason of the choice.
    """

    distances: Features
    memorisation: Features
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """Inputs of an evaluation.

    Attributes:
        run: finished run.
        training: all N training examples.
        training_rows: int64 (N,), their rows in a random order; the first n are reconstructed.
        heldout: held-out examples, or None.
        heldout_rows: int64 (n,), rows of them that are used.
        priors: priors to sample; none without held-out examples.
        features: features of distances; None where there is nothing to compare.
        n: number of training examples, of held-out examples and of samples.
        seed: seed of the rows and the samples.
        notes: caveats of the figures, one sentence each.
    """

    run: Run
    training: Dataset
    training_rows: Tensor
    heldout: Dataset | None
    heldout_rows: Tensor
    priors: tuple[Prior, ...]
    features: FeatureChoice | None
    n: int
    seed: int
    notes: tuple[str, ...]


def prepare(
    run: Run,
    data: Source | None = None,
    *,
    heldout: Source | None = None,
    priors: tuple[str, ...] = (),
    features: str | None = None,
    n: int = 10_000,
    seed: int = 0,
) -> EvaluationPlan:
    """Check and open the inputs of an evaluation.

    Rows are chosen at random, never by a stride: data can be ordered (the even and the odd training
    rows of MNIST come from different writers).

    Args:
        run: finished run.
        data: training data; None: the source recorded in the run.
        heldout: held-out examples; None: the test split of the training data.
        priors: names of priors; none: every fitted prior of the run.
        features: name or path of a feature network; None: chosen by the data.
        n: number of training examples, held-out examples and samples, 6 or more; fewer if there
            are fewer.
        seed: seed of the rows and the samples.

    Raises:
        UserError: the run is not finished or has no such prior, the data are not its training data,
            held-out examples have another shape, or there are too few.
    """
    run.check_finished(
        unfinished="there is nothing to evaluate yet", single="there is nothing to compare"
    )
    if n < _MIN_EXAMPLES:
        raise UserError(
            f"--n is {n}; neighbours and variances need at least {_MIN_EXAMPLES} examples."
        )
    chosen = tuple(run.prior(name) for name in priors or sorted(run.fitted_priors))
    training = run.open_data(data, command=f"glo evaluate {run.folder}")
    unseen, reason = _open_heldout(
        run, find_sources(run.data, run.folder)[0] if data is None else data, heldout
    )
    notes = [reason] if reason else []
    complete = training.observed(torch.zeros(1, dtype=torch.int64)) is None
    if unseen is not None and not complete:
        notes.append("The data have missing values, so only reconstructions are measured.")
    used = min(n, len(training), n if unseen is None else len(unseen))
    if used < n:
        others = "" if unseen is None else f" and {len(unseen):,} held-out"
        notes.append(
            f"{n:,} examples were asked for, but there are {len(training):,} training{others} "
            f"ones, so {used:,} of each are measured."
        )
    if unseen is not None and used < _MIN_EXAMPLES:
        raise UserError(f"{notes[-1][:-1]}; at least {_MIN_EXAMPLES} are needed on every side.")
    compares = unseen is not None and complete
    return EvaluationPlan(
        run=run,
        training=training,
        training_rows=permutation(len(training), seed, 0),
        heldout=unseen,
        heldout_rows=permutation(0 if unseen is None else len(unseen), seed, 1)[:used],
        priors=chosen if compares else (),
        features=choose_features(training, features) if compares else None,
        n=used,
        seed=seed,
        notes=tuple(notes),
    )


def _open_heldout(run: Run, source: Source, heldout: Source | None) -> tuple[Dataset | None, str]:
    options = replace(source_options(run.settings), reading=run.reading)
    if heldout is None:
        try:
            dataset = open_source(source, replace(options, split="test"))
        except UserError as error:
            return None, (
                f"There are no held-out examples ({str(error).rstrip('.')}), and without them a "
                f"distance has no floor, so only reconstructions of training examples are "
                f"measured; give some with --heldout."
            )
    else:
        dataset = open_source(heldout, options)
    check_shape(run.folder, run.data, dataset, "The held-out examples")
    if dataset.fingerprint in run.data.fingerprints:
        fault = f"--heldout is {heldout}, the training data themselves"
        if heldout is None:
            fault = "The test split was added to the run, so it is not held out"
        raise UserError(f"{fault}; give others of the same kind with --heldout.")
    return run.standardize(dataset), ""


@final
class ColumnFeatures(Features):
    """Identity features of vectors, whose columns are standardized by the run.

    Args:
        dim: F, number of columns.
    """

    name = "columns"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def __call__(self, images: Tensor) -> Tensor:
        """Return vectors (B, F) unchanged, float32."""
        return images.float()


def choose_features(dataset: Dataset, name: str | None = None) -> FeatureChoice:
    """Choose the features in which examples are compared.

    Args:
        dataset: training data as the run reads them, columns of vectors standardized.
        name: name or path as for `load_features`; None: the digit network for MNIST, the ImageNet
            network for colour where it is installed, else thumbnails.

    Raises:
        UserError: there are no such features, or the examples are vectors, which need none.

    Example:
        >>> import numpy as np
        >>> grey = Dataset(rows=np.zeros((4, 8, 8, 1), np.uint8), name="coins")
        >>> choice = choose_features(grey)
        >>> choice.distances.name, choice.reason
        ('thumbnails of 8 x 8', 'for grey images other than MNIST there is no network')
    """
    if not dataset.is_images:
        if name is not None:
            raise UserError(
                f"--features is {name}, but the examples are vectors; they are compared column by "
                f"column, so leave it out."
            )
        columns = ColumnFeatures(*dataset.shape)
        return FeatureChoice(
            distances=columns, memorisation=columns, reason="vectors need no network"
        )
    features, reason = (
        _default_features(dataset) if name is None else (load_features(name), "as asked")
    )
    fast = isinstance(features, DigitFeatures | Thumbnails)
    return FeatureChoice(
        distances=features, memorisation=features if fast else Thumbnails(), reason=reason
    )


def _default_features(dataset: Dataset) -> tuple[Features, str]:
    if dataset.shape[0] == 3:
        try:
            return efficientnet_features(), "the ImageNet network is the choice for colour"
        except UserError as error:
            return Thumbnails(), f"for colour a network would be better, but: {error}"
    if dataset.name.lower().startswith("mnist"):
        return digit_features(), "the digit network is the choice for MNIST"
    return Thumbnails(), "for grey images other than MNIST there is no network"
