"""Training and measurement of one cell."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from benchmarks.compare.budget import Stopwatch
from benchmarks.plateau.cell import Cell
from benchmarks.plateau.dense import DenseAdam
from benchmarks.plateau.narrow import NarrowDecoder
from benchmarks.plateau.problem import Problem
from PIL import Image
from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import Decoder
from glo.decoders.decode import decode
from glo.errors import UserError
from glo.imaging.grids import grid
from glo.inversion import InversionOptions, invert
from glo.latents.init import PCA, fit_pca
from glo.priors import GaussianPrior
from glo.runs.checkpoint import newest_checkpoint, restore_training, save_checkpoint
from glo.runs.run import open_run
from glo.training.diagnosis import Baselines, diagnose
from glo.training.evaluation import recompute_batchnorm_stats, squared_errors
from glo.training.loop import TrainingDiverged, train
from glo.training.state import TrainState, init_train_state
from glo.training.statistics import EpochRecord
from glo.utils.row_ranges import evenly_spaced

__all__ = ["SHOWN", "adopt_cell", "make_cell"]

# Training digits whose error is measured, evenly spaced; all of them in most cells.
_MEASURED = 10_000
# Digits in a line of a cell's picture: learned, unseen, sampled.
SHOWN = 10
# A cell with more images than this keeps a checkpoint after each epoch.
_LONG = 20_000
# Of an epoch's record: the means over it, and how far everything moved.
_KEPT = (
    "epoch",
    "mse",
    "code_gradient",
    "code_update",
    "code_travel",
    "code_norm",
    "decoder_step",
    "output_mean",
    "output_std",
)


@dataclass(frozen=True, kw_only=True)
class _Trained:
    decoder: Decoder
    codes: Tensor
    epochs: list[dict[str, float]]
    last: EpochRecord | None
    seconds: dict[str, float]
    stopped: str = ""


def make_cell(cell: Cell, problem: Problem, folder: Path) -> tuple[dict[str, Any], Image.Image]:
    """Train and measure one cell.

    Args:
        cell: which.
        problem: the digits.
        folder: where a long cell keeps its checkpoints.

    Returns:
        its result, ready for JSON, and a picture of digits it learned, did not see, and drew.
    """
    samples = problem.first(cell.n)
    settings = cell.settings(len(samples), problem.epochs)
    pca = fit_pca(samples, settings.code_dim, seed=cell.seed)
    done = _train(cell, settings, samples, pca, folder / "models" / cell.name)
    recompute_batchnorm_stats(done.decoder, done.codes, settings)
    return _result(cell, problem, settings, samples, pca, done)


def adopt_cell(cell: Cell, problem: Problem, run: Path) -> tuple[dict[str, Any], Image.Image]:
    """Measure a run folder of `glo train` instead of training the cell.

    Raises:
        UserError: the run was made with other settings or other images.
    """
    made = open_run(run)
    samples = problem.first(cell.n)
    settings = cell.settings(len(samples), problem.epochs)
    _check_equal(run, made.settings, settings, made.data.n, len(samples))
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    epochs = [found for line in lines if (found := json.loads(line))["kind"] == "epoch"]
    known = EpochRecord.__dataclass_fields__
    last = EpochRecord(**{name: epochs[-1][name] for name in known})
    seconds = json.loads((run / "summary.json").read_text("utf-8"))["seconds"]
    done = _Trained(
        decoder=made.decoder,
        codes=made.codes,
        epochs=[{name: epoch[name] for name in _KEPT} for epoch in epochs],
        last=last,
        seconds={"wall": round(seconds, 1)},
    )
    pca = fit_pca(samples, settings.code_dim, seed=cell.seed)
    result, picture = _result(cell, problem, settings, samples, pca, done)
    return result | {"made_by": "glo train"}, picture


def _check_equal(run: Path, made: Settings, wanted: Settings, n: int, wanted_n: int) -> None:
    aside = {"limit", "device", "checkpoint_seconds", "prior"}
    one, two = ({k: v for k, v in asdict(s).items() if k not in aside} for s in (made, wanted))
    other = [name for name in one if one[name] != two[name]]
    if n != wanted_n:
        other.append("n")
    if other:
        raise UserError(f"{run} was made with another {', '.join(other)} than this cell.")


def _train(
    cell: Cell, settings: Settings, samples: Dataset, pca: PCA, checkpoints: Path
) -> _Trained:
    watch = Stopwatch()
    epochs: list[dict[str, float]] = []
    training, last, stopped = _begin(cell, settings, samples, pca), None, ""
    long = len(samples) > _LONG and cell.divide == 1
    before = newest_checkpoint(checkpoints) if long else None
    if before is not None:
        training, epochs = restore_training(before, settings), before.facts["epochs"]
        watch = Stopwatch(before.facts["cpu"])
    try:
        for last in _epochs(training, samples):
            epochs.append({name: _rounded(getattr(last, name)) for name in _KEPT})
            # At its end a cell writes its result instead.
            if long and not training.done:
                facts = {"epochs": epochs, "cpu": watch.cpu}
                save_checkpoint(checkpoints, training, finished=False, facts=facts)
    except TrainingDiverged as found:
        stopped = str(found)
    return _Trained(
        decoder=training.final_decoder,
        codes=training.codes,
        epochs=epochs,
        last=last,
        seconds=watch.read(),
        stopped=stopped,
    )


def _epochs(training: TrainState, samples: Dataset) -> Iterator[EpochRecord]:
    for record in train(training, samples):
        if isinstance(record, EpochRecord):
            yield record


def _begin(cell: Cell, settings: Settings, samples: Dataset, pca: PCA) -> TrainState:
    started = init_train_state(samples, settings, pca)
    latents, decoder, optimizer = started.latents, started.decoder, started.code_optimizer
    if cell.dense:
        project = settings.project_every == "step"
        optimizer = DenseAdam(latents, settings.code_betas, project=project)
    if cell.divide > 1:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            decoder = NarrowDecoder(
                code_dim=settings.code_dim, shape=samples.shape, divide=cell.divide
            )
    return TrainState(settings, decoder, latents, optimizer=optimizer)


def _result(
    cell: Cell,
    problem: Problem,
    settings: Settings,
    samples: Dataset,
    pca: PCA,
    done: _Trained,
) -> tuple[dict[str, Any], Image.Image]:
    baselines = Baselines(mean_image=pca.mean_image_mse, pca=pca.pca_mse)
    result: dict[str, Any] = {
        "name": cell.name,
        "group": cell.group,
        "about": cell.about,
        "base": cell.base,
        "seed": cell.seed,
        "n": len(samples),
        "divide": cell.divide,
        "dense": cell.dense,
        "steps": settings.steps_per_epoch(len(samples)) * settings.epochs_for(len(samples)),
        "settings": settings.to_dict(),
        "mean_image": _rounded(pca.mean_image_mse),
        "pca": _rounded(pca.pca_mse),
        "seconds": done.seconds,
        "stopped": done.stopped,
        "epochs": done.epochs,
    }
    rows = evenly_spaced(len(samples), min(_MEASURED, len(samples)))
    if done.stopped or done.last is None:
        return result | {"train": None, "unseen": None, "findings": []}, _picture([])
    shown = samples.subset(rows)
    errors = squared_errors(done.decoder, done.codes[rows], shown, settings)
    mse = float(errors.double().mean())
    found, cost = _search(done, settings, problem)
    sentences = diagnose(done.last, baselines, settings, mse=mse, n=len(samples), last=True)
    measured = {
        "train": _rounded(mse),
        "unseen": _rounded(float(found.residuals.double().mean())),
        "unseen_error": _rounded(float(found.residuals.std()) / len(found.residuals) ** 0.5),
        "findings": [finding.name for finding in sentences],
        "search": cost,
    }
    parts = [
        decode(done.decoder, done.codes[:SHOWN], settings.precision),
        found.reconstructions[:SHOWN],
        _drawn(done, settings),
    ]
    return result | measured, _picture(parts)


def _search(done: _Trained, settings: Settings, problem: Problem) -> tuple[Any, dict[str, float]]:
    """Invert the unseen images under the fixed decoder."""
    watch = Stopwatch()
    options = InversionOptions(constraint=settings.constraint)
    found = invert(done.decoder, problem.unseen_images, done.codes, options=options)
    return found, {"cpu": round(watch.cpu, 1), "decodings": float(found.steps.float().mean())}


def _drawn(done: _Trained, settings: Settings) -> Tensor:
    prior = GaussianPrior(constraint=settings.constraint).fit(done.codes)
    return decode(done.decoder, prior.sample(SHOWN, seed=0), settings.precision)


def _picture(parts: list[Tensor]) -> Image.Image:
    """Arrange a row of digits for each part."""
    if not parts:
        return Image.new("L", (SHOWN * 32, 3 * 32), 128)
    return grid(torch.cat(parts).float(), columns=SHOWN, frame=False)


def _rounded(value: float) -> float:
    """Round to six digits, for stable committed files."""
    return float(f"{value:.6g}")
