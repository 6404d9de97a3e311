"""The end of a run: errors of all rows, priors, pictures, and the summary with its diagnosis."""

import time
from collections.abc import Callable, Generator, Iterator

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset
from glo.imaging.previews import draw_outcome
from glo.priors import Prior
from glo.runs.reconstruction_errors import write_errors
from glo.runs.run import Run
from glo.runs.summary import summarize
from glo.training.diagnosis import Baselines, diagnose
from glo.training.events import Event, Note
from glo.training.refine import squared_errors
from glo.training.state import TrainState
from glo.utils.json_toml import write_json
from glo.utils.row_ranges import evenly_spaced
from glo.workflows.fit_priors import fit_labels, fit_priors

__all__ = ["finish"]

# More codes than these tell a prior nothing new of their density.
_MOST_TOLD = 1_000_000


def finish(
    run: Run,
    training: TrainState,
    samples: Dataset,
    own: Dataset,
    baselines: Baselines,
    *,
    elapsed: Callable[[], float],
) -> Iterator[Event]:
    """Write what comes of a run whose codes and decoder stay as they are from here on.

    Every process measures its own rows; the first one alone goes on after that.

    Args:
        run: whose folder is written to.
        training: done, and polished.
        samples: the data of all processes.
        own: the rows of this process.
        baselines: what the error is compared with.
        elapsed: seconds spent on the run up to now.

    Yields:
        what happens.

    Raises:
        OSError: the folder could not be written.
    """
    settings, ranks, codes = run.settings, training.ranks, training.codes
    travel = training.statistics.travel(codes)
    measured = squared_errors(training.final_decoder, codes, own, settings)
    errors = ranks.gather_to_main(measured, training.n)
    record = training.statistics.record(
        settings.epochs_for(training.n), training.step, codes, training.decoder
    )
    told = evenly_spaced(training.n, min(training.n, _MOST_TOLD))
    if len(told) < training.n or ranks.size > 1:
        codes = ranks.all_gather_rows(codes, told)
    training.store.release()
    if not ranks.is_main:
        return
    write_errors(run.folder, errors)
    priors: list[Prior] = []
    began = time.perf_counter()
    if len(codes) > 1:
        priors = yield from _fit_priors(run, samples, codes, told)
    fitting = time.perf_counter() - began
    if samples.is_images:
        draw_outcome(
            run.folder / "samples",
            training.final_decoder,
            codes,
            samples if len(told) == training.n else samples.subset(told),
            errors[told],
            priors,
            settings,
        )
    mse = float(errors.double().mean())
    findings = diagnose(record, baselines, settings, mse=mse, n=training.n, last=True)
    summary = summarize(
        run.data,
        run.preset,
        training,
        errors,
        baselines,
        code_travel=travel,
        seconds=elapsed(),
    )
    if priors:
        summary |= {"prior": priors[-1].name, "prior_seconds": fitting}
    sentences = [finding.sentence for finding in findings]
    write_json(run.folder / "summary.json", summary | {"diagnosis": sentences})
    for finding in findings:
        yield Note(sentence=finding.sentence, warning=True)


def _fit_priors(
    run: Run, samples: Dataset, codes: Tensor, rows: Tensor
) -> Generator[Event, None, list[Prior]]:
    """Fit the priors, and the labels where there are any, to the codes of some rows."""
    settings, folder = run.settings, run.folder / "prior"
    priors = yield from fit_priors(folder, codes, settings, n=len(samples))
    if samples.labels is not None:
        labels = torch.from_numpy(np.array(samples.labels, dtype=np.int64))
        fit_labels(folder, codes, labels[rows], samples.label_names, settings, every=labels)
    return priors
