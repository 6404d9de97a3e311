"""The search for codes of examples that a run did not train; all who need one come here.

What holds for each: it begins at the run's own codes, keeps the run's constraint and arithmetic,
and tells residuals as squared errors. A whole example gets the code that the run's own loss asks
for, as the run's examples did. Where something is hidden, or was seen through an operator or noise,
the squared error of what is known is lowered, and the nearest codes hold the code too, as what is
known may not decide.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.data import Dataset
from glo.inversion import (
    InitialCodes,
    Inversion,
    Operator,
    SearchState,
    decode_initial_codes,
    follow,
)
from glo.losses import MSELoss
from glo.runs.run import Run
from glo.training.factory import training_loss
from glo.utils.device import find_device

__all__ = ["Found", "batches", "prepare_search", "search", "search_samples"]

_CHUNK = 2048
# A decoder misses new examples by more than its own. Measured on MNIST, squared error of hidden
# pixels at 1, 2 and 4 times the run's own error: 0.0093, 0.0094, 0.0099 with 30 % of them missing,
# 0.0534, 0.0540, 0.0589 with 90 %; with one half missing more is better.
_MISSED = 2.0
# An overfitted decoder hits its own examples whatever they are; of the spread of the examples.
_LEAST_NOISE = 0.125


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What was found for some of a set of examples.

    Attributes:
        rows: int64 (b,), which of them.
        target: (b, *shape), as the decoder sees them.
        observed: 1 where the target is known and 0 where it is not; None if all is.
        inversion: codes, reconstructions and residuals.
    """

    rows: Tensor
    target: Tensor
    observed: Tensor | None
    inversion: Inversion


def prepare_search(run: Run, *, device: str = "auto") -> InitialCodes:
    """Bring a run's decoder to a device, and decode the codes that searches begin at.

    Args:
        run: a finished run.
        device: its name; auto: the best there is.

    Raises:
        UserError: the run is not finished, or has too few codes.
    """
    run.check_finished(
        unfinished="its codes and decoder still change",
        single="a search needs two codes to begin at",
    )
    run.decoder.to(find_device(device))
    return decode_initial_codes(run.decoder, run.codes, precision=run.settings.precision)


def batches(n: int, *, answers: int = 1) -> Iterator[Tensor]:
    """Yield row numbers, int64, so many at a time that memory holds them and batches are full.

    Example:
        >>> [len(rows) for rows in batches(3000)]
        [2048, 952]
    """
    # No answers at all are refused by the search.
    yield from torch.arange(n).split(max(64, _CHUNK // max(1, answers)))


def search(
    run: Run,
    target: Tensor,
    *,
    starts: InitialCodes,
    observed: Tensor | None = None,
    operator: Operator | None = None,
    noise: float | None = None,
    answers: int = 1,
) -> Iterator[SearchState | Inversion]:
    """Search for the codes of observations, and tell after each decoding where the search stands.

    Args:
        run: a finished run.
        target: float (n, *shape'), as for `glo.inversion.invert`.
        starts: of `prepare_search`.
        observed: 1 where known and 0 where hidden; None if all is known.
        operator: what the examples were seen through; None: nothing.
        noise: standard deviation of the observation's errors; None: twice that of the run's own
            reconstructions, at least an eighth of the spread of the examples.
        answers: how many answers are sought for each observation.

    Yields:
        `SearchState` after each decoding, with the codes and residuals so far, and last the
        `Inversion`.

    Raises:
        UserError: the observations cannot be used, or the network that the run's loss compares
            features of cannot be had.

    Example:
        >>> starts = prepare_search(run)  # doctest: +SKIP
        >>> for step in search(run, image, starts=starts):  # doctest: +SKIP
        ...     if isinstance(step, SearchState):
        ...         print(f"{step.share:.0%}: {float(step.residual[0]):.4f}")
    """
    whole = observed is None and operator is None and noise is None
    return follow(
        run.decoder,
        target,
        starts=starts,
        loss=training_loss(run.settings) if whole else None,
        measure=MSELoss(),
        operator=operator,
        observed=observed,
        prior="none" if whole else "local",
        noise=_noise(run, starts) if noise is None else noise,
        answers=answers,
        constraint=run.settings.constraint,
        precision=run.settings.precision,
    )


def search_samples(
    run: Run, samples: Dataset, *, starts: InitialCodes, rows: Tensor | None = None
) -> Iterator[float | Found]:
    """Search for the codes of a set, so many rows at a time that memory holds what is found.

    Args:
        run: a finished run.
        samples: examples of the shape that it was trained on; missing values are hidden.
        starts: of `prepare_search`.
        rows: int64 (n,), which of them, in this order; None: all.

    Yields:
        the share that is done, up to 1, after each decoding, and `Found` for each part in order.

    Example:
        >>> for step in search_samples(run, samples, starts=starts):  # doctest: +SKIP
        ...     if isinstance(step, Found):
        ...         codes[step.rows] = step.inversion.codes
    """
    samples, done = run.standardize(samples), 0
    rows = torch.arange(len(samples)) if rows is None else rows
    for places in batches(len(rows)):
        part = rows[places]
        target, observed = samples.batch(part), samples.observed(part)
        for step in search(run, target, starts=starts, observed=observed):
            if isinstance(step, SearchState):
                yield (done + step.share * len(part)) / len(rows)
            else:
                yield Found(rows=part, target=target, observed=observed, inversion=step)
        done += len(part)
        yield done / len(rows)


def _noise(run: Run, starts: InitialCodes) -> float:
    least = max(_LEAST_NOISE * starts.examples_spread, 1e-6)
    own = math.sqrt((run.summary or {}).get("mse", 0.0))
    return max(least, _MISSED * own)
