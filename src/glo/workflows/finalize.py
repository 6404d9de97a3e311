"""Finalization of a run: errors of all rows, priors, pictures, summary and diagnosis."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset
from glo.imaging.previews import draw_outcome
from glo.priors import Prior
from glo.runs.code_map import has_code_map, write_code_map
from glo.runs.reconstruction_errors import write_errors
from glo.runs.run import Run, open_run
from glo.runs.summary import summarize
from glo.training.diagnosis import Baselines, Finding, diagnose
from glo.training.evaluation import squared_errors
from glo.training.state import TrainState
from glo.utils.json_toml import write_json
from glo.utils.row_ranges import evenly_spaced
from glo.workflows.fit_calibration import fit_calibration
from glo.workflows.fit_encoder import fit_run_encoder, has_encoder
from glo.workflows.fit_priors import fit_labels, fit_priors
from glo.workflows.validate import Validation, held_out_error

__all__ = ["finalize"]

# More codes add nothing to the estimate of their density.
MAX_PRIOR_CODES = 1_000_000


def finalize(
    run: Run,
    training: TrainState,
    samples: Dataset,
    local_samples: Dataset,
    baselines: Baselines,
    validation: Validation,
    *,
    elapsed: Callable[[], float],
    callback: Callable[[str, float], None] = lambda name, share: None,
) -> list[Finding]:
    """Write errors, priors, pictures and summary of a run whose training is over.

    Every process measures its own rows, `local_samples`; the first one alone continues after that.
    The error of the held-out examples is measured likewise. `callback` receives what is fitted and
    the share of it that is done; it may raise to stop. The findings of the diagnosis are returned,
    none when the run is healthy.
    """
    settings, ranks, codes = run.settings, training.ranks, training.codes
    travel = training.statistics.travel(codes)
    measured = squared_errors(training.final_decoder, codes, local_samples, settings)
    errors = ranks.gather_to_main(measured, training.n)
    epoch = training.step // training.steps_per_epoch
    record = training.statistics.record(epoch, training.step, codes, training.decoder)
    held_out = validation.held_out
    held_out_mse = None if held_out is None else held_out_error(training, held_out)
    rows = evenly_spaced(training.n, min(training.n, MAX_PRIOR_CODES))
    if len(rows) < training.n or ranks.size > 1:
        codes = ranks.all_gather_rows(codes, rows)
    training.store.release()
    if not ranks.is_main:
        return []
    write_errors(run.folder, errors)
    priors: list[Prior] = []
    start = time.perf_counter()
    if len(codes) > 1:
        priors = fit_priors(
            run.folder / "prior",
            codes,
            settings,
            n=len(samples),
            callback=lambda prior, share: callback(f"{prior} prior", share),
        )
        _fit_labels(run, samples, codes, rows)
    prior_seconds = time.perf_counter() - start
    encoder = None
    if has_encoder(settings, len(codes)):
        encoder = fit_run_encoder(
            run.folder,
            training.final_decoder,
            codes,
            samples if len(rows) == training.n else samples.subset(rows),
            settings,
            priors[-1],
            callback=partial(callback, "encoder"),
        )
    if samples.is_images:
        draw_outcome(
            run.folder / "samples",
            training.final_decoder,
            codes,
            samples if len(rows) == training.n else samples.subset(rows),
            errors[rows],
            priors,
            settings,
        )
    # The codes of the checkpoint are those that the page reads.
    finished = open_run(run.folder, decoder=run.decoder_class)
    map_seconds = _write_map(finished.codes, run, callback)
    mse = float(errors.double().mean())
    findings = diagnose(
        record,
        baselines,
        settings,
        mse=mse,
        n=training.n,
        last=True,
        # With patience the run ends with the best check, not with the last.
        validation=validation.record if settings.patience is None else None,
    )
    summary = summarize(
        run.data,
        run.preset,
        training,
        errors,
        baselines,
        code_travel=travel,
        seconds=elapsed(),
        epochs=validation.record.last.epoch if validation.record else None,
    )
    if held_out_mse is not None:
        summary["validation"] = validation.summary(held_out_mse)
    if priors:
        summary |= {"prior": priors[-1].name, "prior_seconds": prior_seconds}
    if map_seconds is not None:
        summary["map_seconds"] = map_seconds
    if encoder is not None:
        summary["encoder"] = encoder
    sentences = [finding.sentence for finding in findings]
    summary["diagnosis"] = sentences
    # The searches use figures of the summary, which is written last: with it the run is finished.
    finished.unwritten_summary = summary
    summary |= fit_calibration(finished, samples, held_out, callback=partial(callback, "scores"))
    write_json(run.folder / "summary.json", summary)
    return findings


def _write_map(codes: Tensor, run: Run, callback: Callable[[str, float], None]) -> float | None:
    """Write the map of the codes and return its seconds; None where there is none."""
    if not has_code_map(codes):
        return None
    start = time.perf_counter()
    callback("map", 0.0)
    write_code_map(run.folder, codes)
    callback("map", 1.0)
    return time.perf_counter() - start


def _fit_labels(run: Run, samples: Dataset, codes: Tensor, rows: Tensor) -> None:
    if samples.labels is not None:
        labels = torch.from_numpy(np.array(samples.labels[rows.numpy()], dtype=np.int64))
        fit_labels(run.folder / "prior", codes, labels, samples.label_names, run.settings)
