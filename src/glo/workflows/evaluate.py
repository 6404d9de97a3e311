"""Evaluation of a run: reconstructions, samples of each prior, memorisation."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders.decode import decode
from glo.features.base import Features, embed
from glo.losses import MSELoss
from glo.metrics import MemorisationTest, Reference, psnr, ssim
from glo.priors import Prior
from glo.utils.device import find_device
from glo.utils.json_toml import finite_json
from glo.workflows.encode import encode_dataset, prepare_search
from glo.workflows.evaluation_plan import EvaluationPlan, FeatureChoice

__all__ = ["Callback", "evaluate"]

# Whole blocks of most priors.
_SAMPLE_BATCH = 1024
_BATCH = 512

Callback = Callable[[str, int, int], None]
"""Function of the current part of an evaluation, the examples done and the examples in all."""


def _ignore(part: str, done: int, total: int) -> None:
    pass


def evaluate(plan: EvaluationPlan, *, callback: Callback = _ignore) -> dict[str, Any]:
    """Measure the reconstructions of a run, and the samples of each prior.

    All distances are to the same n held-out examples. Their floor is the distance of n training
    images, the same whose reconstructions are measured, in the place of the samples.

    Args:
        plan: plan from `prepare`.
        callback: function of a part's name, the examples done and their total.

    Returns:
        figures by name, ready for JSON, None where a figure is undefined.

    Example:
        >>> from glo.workflows.evaluation_plan import prepare  # doctest: +SKIP
        >>> figures = evaluate(prepare(open_run("runs/mnist"), n=1000))  # doctest: +SKIP
        >>> figures["priors"]["gaussian"]["fd"]["value"]  # doctest: +SKIP
        381.0
    """
    started = time.perf_counter()
    run, heldout = plan.run, plan.heldout
    run.decoder.to(find_device("auto"))
    notes = list(plan.notes)
    training, embedded = _reconstruct(plan, callback)
    values: dict[str, Any] = {
        "run": str(run.folder),
        "data": run.data.to_dict(),
        "n": plan.n,
        "seed": plan.seed,
        "training": training,
        "heldout": None if heldout is None else _search(plan, heldout, callback),
    }
    if plan.features is not None and heldout is not None:
        values |= _compare(plan, plan.features, heldout, torch.cat(embedded), notes, callback)
    values |= {"notes": notes, "seconds": time.perf_counter() - started}
    figures: dict[str, Any] = finite_json(values)
    return figures


def _reconstruct(plan: EvaluationPlan, callback: Callback) -> tuple[dict[str, Any], list[Tensor]]:
    """Return the errors of n training examples, and the features of their reconstructions."""
    run, errors, embedded = plan.run, [], []
    for rows in plan.training_rows[: plan.n].split(_BATCH):
        images = decode(run.decoder, run.codes[rows], run.settings.precision)
        errors.append(_errors(images, plan.training, rows))
        if plan.features is not None:
            embedded.append(_embed(plan.features.distances, images))
        done = min(plan.n, len(errors) * _BATCH)
        callback("reconstructing training examples", done, plan.n)
    return _means(errors), embedded


def _search(plan: EvaluationPlan, heldout: Dataset, callback: Callback) -> dict[str, Any]:
    """Return the errors of n held-out examples under the codes found by search."""
    part, errors, steps = "searching codes of held-out examples", [], []
    callback(part, 0, plan.n)
    started = time.perf_counter()
    initial_codes, seconds = prepare_search(plan.run), 0.0
    for batch in encode_dataset(
        plan.run,
        heldout,
        initial_codes,
        rows=plan.heldout_rows,
        callback=lambda _, done, total: callback(part, done, total),
    ):
        seconds += time.perf_counter() - started
        errors.append(_errors(batch.inversion.reconstructions, heldout, batch.rows))
        steps.append(batch.inversion.steps)
        started = time.perf_counter()
    return {
        **_means(errors),
        "name": heldout.name,
        "decodings": float(torch.cat(steps).double().mean()),
        **_speed(plan.n, seconds),
    }


def _compare(
    plan: EvaluationPlan,
    choice: FeatureChoice,
    heldout: Dataset,
    reconstructions: Tensor,
    notes: list[str],
    callback: Callback,
) -> dict[str, Any]:
    """Return the distances of reconstructions and samples; append warnings to `notes`."""

    def rows_of(features: Features, dataset: Dataset, rows: Tensor, name: str) -> Tensor:
        def batches() -> Iterator[Tensor]:
            done = 0
            for part in rows.split(_BATCH):
                yield dataset.batch(part)
                done += len(part)
                callback(f"{features.name} of {name} examples", done, len(rows))

        return embed(features, batches())

    features, memorisation = choice.distances, choice.memorisation
    same = memorisation is features
    unseen = rows_of(features, heldout, plan.heldout_rows, "held-out")
    rows = plan.training_rows if same else plan.training_rows[: plan.n]
    training = rows_of(features, plan.training, rows, "training")
    reference = Reference(features.name, heldout=unseen, training=training[: plan.n])
    if not same:
        unseen = rows_of(memorisation, heldout, plan.heldout_rows, "held-out")
        training = rows_of(memorisation, plan.training, plan.training_rows, "training")
    test = MemorisationTest(training, unseen, features=memorisation.name, seed=plan.seed)
    callback("measuring the reconstructions", 0, 1)
    distances = _distances(reference, reconstructions, notes)
    floor = {name: distances[name]["floor"] for name in ("fd", "kd")}
    return {
        "features": {"name": features.name, "dim": features.dim, "why": choice.reason},
        "floor": floor | {"prdc": asdict(reference.prdc_floor(plan.n))},
        "reconstructions": distances,
        "priors": {
            prior.name: _sample(plan, choice, prior, reference, test, callback)
            for prior in plan.priors
        },
    }


def _sample(
    plan: EvaluationPlan,
    choice: FeatureChoice,
    prior: Prior,
    reference: Reference,
    test: MemorisationTest,
    callback: Callback,
) -> dict[str, Any]:
    """Return the distances and the memorisation of n samples of a prior."""
    seconds, embedded, thumbnails = 0.0, [], []
    for start in range(0, plan.n, _SAMPLE_BATCH):
        started = time.perf_counter()
        count = min(_SAMPLE_BATCH, plan.n - start)
        codes = prior.sample(count, seed=plan.seed, start=start)
        images = decode(plan.run.decoder, codes, plan.run.settings.precision)
        seconds += time.perf_counter() - started
        embedded.append(_embed(choice.distances, images))
        same = choice.memorisation is choice.distances
        thumbnails.append(embedded[-1] if same else _embed(choice.memorisation, images))
        callback(f"drawing from {prior.name}", start + count, plan.n)
    callback(f"measuring {prior.name}", 0, 1)
    result = test(torch.cat(thumbnails))
    memorisation = {**asdict(result), "sentence": result.sentence}
    if result.heldout_distance > 0:
        memorisation["ratio"] = result.samples_distance / result.heldout_distance
    distances = _distances(reference, torch.cat(embedded))
    return {**distances, "memorisation": memorisation, **_speed(plan.n, seconds)}


def _distances(
    reference: Reference, embedded: Tensor, notes: list[str] | None = None
) -> dict[str, Any]:
    fd, kd, prdc = reference.frechet(embedded), reference.kernel(embedded), reference.prdc(embedded)
    if notes is not None and fd.warning is not None:
        notes.append(fd.warning)
    return {"fd": asdict(fd), "kd": asdict(kd), "prdc": asdict(prdc)}


def _embed(features: Features, images: Tensor) -> Tensor:
    return embed(features, images.split(_BATCH))


@torch.no_grad()
def _errors(images: Tensor, dataset: Dataset, rows: Tensor) -> dict[str, Tensor]:
    target, observed = dataset.batch(rows), dataset.observed(rows)
    errors = {"mse": MSELoss()(images, target, observed)}
    # PSNR and SSIM are defined for complete images.
    if dataset.is_images and observed is None:
        errors |= {"psnr": psnr(images, target), "ssim": ssim(images, target)}
    return errors


def _means(errors: list[dict[str, Tensor]]) -> dict[str, Any]:
    columns = {name: torch.cat([part[name] for part in errors]).double() for name in errors[0]}
    means = {name: float(column.mean()) for name, column in columns.items()}
    return {"n": len(columns["mse"]), **means}


def _speed(n: int, seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "per_second": n / max(seconds, 1e-9)}
