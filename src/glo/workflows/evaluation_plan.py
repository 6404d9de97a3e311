"""What to measure and on which rows: every mistake is found here, before the long work."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_source
from glo.errors import UserError
from glo.priors import Prior
from glo.runs.run import Run
from glo.runs.training_data import check_shape
from glo.utils.random import permutation
from glo.workflows.evaluation_features import Description, describe

__all__ = ["Plan", "prepare"]

Source = str | Path | Dataset

# Five neighbours of an example, and the example.
_LEAST = 6


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run, the examples to measure it with, and what to measure.

    Attributes:
        training: all N training examples.
        training_rows: int64 (N,), their rows in a random order; the first n are reconstructed.
        heldout: examples that were never trained, or None.
        heldout_rows: int64 (n,), those of them that are used.
        priors: what samples are drawn from; none without held-out examples.
        description: features of distances; None where there is nothing to compare.
        n: how many examples are on every side.
        seed: of the rows and the samples.
        notes: sentences that the reader of the figures must know.
    """

    run: Run
    training: Dataset
    training_rows: Tensor
    heldout: Dataset | None
    heldout_rows: Tensor
    priors: tuple[Prior, ...]
    description: Description | None
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
) -> Plan:
    """Look at everything that an evaluation needs.

    Rows are chosen at random, never by a stride: the order of data means something (the even and
    the odd training rows of MNIST come from different writers).

    Args:
        run: a finished run.
        data: its training data; None: where it got them from.
        heldout: examples that were never trained; None: the test split of the training data.
        priors: names; none: every prior that is fitted in the run.
        features: name or path of a feature network; None: chosen from the data.
        n: how many training examples, held-out examples and samples; fewer if there are fewer.
        seed: of the rows and the samples.

    Raises:
        UserError: the run is not finished or has no such prior, the data are not those that it was
            trained on, held-out examples have another shape, or there are too few.
    """
    run.check_finished(
        unfinished="there is nothing to evaluate yet", single="there is nothing to compare"
    )
    if n < _LEAST:
        raise UserError(f"--n is {n}; neighbours and variances need at least {_LEAST} examples.")
    chosen = tuple(run.prior(name) for name in priors or sorted(run.fitted_priors))
    training = run.open_data(data, command=f"glo evaluate {run.folder}")
    unseen, reason = _unseen(run, run.data.source if data is None else data, heldout)
    notes = [reason] if reason else []
    whole = training.observed(torch.zeros(1, dtype=torch.int64)) is None
    if unseen is not None and not whole:
        notes.append("The data have missing values, so only reconstructions are measured.")
    used = min(n, len(training), n if unseen is None else len(unseen))
    if used < n:
        notes.append(_fewer(n, used, training, unseen))
    if unseen is not None and used < _LEAST:
        raise UserError(f"{notes[-1][:-1]}; at least {_LEAST} are needed on every side.")
    order = permutation(len(training), seed, 0)
    compares = unseen is not None and whole
    return Plan(
        run=run,
        training=training,
        training_rows=order,
        heldout=unseen,
        heldout_rows=permutation(0 if unseen is None else len(unseen), seed, 1)[:used],
        priors=chosen if compares else (),
        description=describe(training, features) if compares else None,
        n=used,
        seed=seed,
        notes=tuple(notes),
    )


def _unseen(run: Run, source: Source, heldout: Source | None) -> tuple[Dataset | None, str]:
    options = run.source_options()
    if heldout is None:
        try:
            options = SourceOptions(**{**vars(options), "split": "test"})
            samples = open_source(source, options)
        except UserError as error:
            return None, (
                f"There are no held-out examples ({str(error).rstrip('.')}), and without them a "
                f"distance has no floor, so only reconstructions of training examples are "
                f"measured; give some with --heldout."
            )
    else:
        samples = open_source(heldout, options)
    check_shape(run.folder, run.data, samples, "The held-out examples")
    if samples.fingerprint in run.data.fingerprints:
        given = f"--heldout is {heldout}, the training data themselves"
        if heldout is None:
            given = "The test split was added to the run, so it is not held out"
        raise UserError(f"{given}; give others of the same kind with --heldout.")
    return run.standardize(samples), ""


def _fewer(asked: int, used: int, training: Dataset, unseen: Dataset | None) -> str:
    held = "" if unseen is None else f" and {len(unseen):,} held-out"
    return (
        f"{asked:,} examples were asked for, but there are {len(training):,} training{held} ones, "
        f"so {used:,} of each are measured."
    )
