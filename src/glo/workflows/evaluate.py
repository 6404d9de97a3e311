"""The evaluation itself: a generator that tells how far it is, and at last what it found."""

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders.decode import decode
from glo.features.base import Features
from glo.losses import MSELoss
from glo.metrics import MemorisationTest, Reference, psnr, ssim
from glo.priors import Prior
from glo.utils.device import find_device
from glo.workflows.encode import Found, prepare_search, search_samples
from glo.workflows.evaluation_plan import Plan
from glo.workflows.json_values import plain

__all__ = ["Evaluation", "Progress", "evaluate"]

# Whole blocks of most priors.
_CHUNK = 1024
_SMALL = 512


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """So many of the examples of a part are done."""

    part: str
    done: int
    total: int


@final
@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was found, ready for JSON: names, numbers, and None where there is no number."""

    values: dict[str, Any]


Part = Generator[Progress, None, dict[str, Any]]


def evaluate(plan: Plan) -> Iterator[Progress | Evaluation]:
    """Measure a run: reconstructions, samples of each prior, copies.

    All distances are to the same n held-out examples. Their floor is what n training images get in
    the place of the samples, the same images whose reconstructions are measured.

    Args:
        plan: made by `prepare`.

    Yields:
        how far it is, and last the `Evaluation`.

    Example:
        >>> from glo.evaluation import prepare  # doctest: +SKIP
        >>> *_, found = evaluate(prepare(open_run("runs/mnist"), n=1000))  # doctest: +SKIP
        >>> found.values["priors"]["gaussian"]["fd"]["value"]  # doctest: +SKIP
        381.0
    """
    began = time.perf_counter()
    plan.run.decoder.to(find_device("auto"))
    values: dict[str, Any] = {
        "run": str(plan.run.folder),
        "data": plan.run.data.to_dict(),
        "n": plan.n,
        "seed": plan.seed,
    }
    made: list[Tensor] = []
    values["training"] = yield from _training(plan, made)
    values["heldout"] = None if plan.heldout is None else (yield from _heldout(plan, plan.heldout))
    if plan.description is not None and plan.heldout is not None:
        values |= yield from _distances(plan, plan.heldout, torch.cat(made))
    values["notes"] = [*plan.notes, *values.pop("warnings", [])]
    values["seconds"] = time.perf_counter() - began
    yield Evaluation(values=plain(values))


def _training(plan: Plan, made: list[Tensor]) -> Part:
    errors: list[dict[str, Tensor]] = []
    for rows in plan.training_rows[: plan.n].split(_SMALL):
        output = decode(plan.run.decoder, plan.run.codes[rows], plan.run.settings.precision)
        errors.append(_errors(output, plan.training, rows))
        if plan.description is not None:
            made.append(_described(plan.description.features, output))
        yield _done("reconstructing training examples", errors, plan.n)
    return _means(errors)


def _heldout(plan: Plan, heldout: Dataset) -> Part:
    part, errors, steps = "searching codes of held-out examples", [], []
    yield Progress(part=part, done=0, total=plan.n)
    began = time.perf_counter()
    starts, spent = prepare_search(plan.run), 0.0
    for step in search_samples(plan.run, heldout, starts=starts, rows=plan.heldout_rows):
        if isinstance(step, Found):
            spent += time.perf_counter() - began
            errors.append(_errors(step.inversion.reconstructions, heldout, step.rows))
            steps.append(step.inversion.steps)
            began = time.perf_counter()
        else:
            yield Progress(part=part, done=round(step * plan.n), total=plan.n)
    return {
        **_means(errors),
        "name": heldout.name,
        "decodings": float(torch.cat(steps).double().mean()),
        **_pace(plan.n, spent),
    }


def _distances(plan: Plan, heldout: Dataset, made: Tensor) -> Part:
    chosen = plan.description
    assert chosen is not None, "distances need features"
    features, copies = chosen.features, chosen.copies
    unseen = yield from _embedded(features, heldout, plan.heldout_rows, "held-out")
    same = copies is features
    rows = plan.training_rows if same else plan.training_rows[: plan.n]
    training = yield from _embedded(features, plan.training, rows, "training")
    yardstick = Reference(features.name, heldout=unseen, training=training[: plan.n])
    if not same:
        unseen = yield from _embedded(copies, heldout, plan.heldout_rows, "held-out")
        training = yield from _embedded(copies, plan.training, plan.training_rows, "training")
    test = MemorisationTest(training, unseen, features=copies.name, seed=plan.seed)
    yield Progress(part="measuring the reconstructions", done=0, total=1)
    reconstructions, warning = _measured(yardstick, made)
    neighbours = yardstick.prdc_floor(plan.n)
    fd, kd = reconstructions["fd"], reconstructions["kd"]
    priors = {}
    for prior in plan.priors:
        priors[prior.name] = yield from _samples(plan, prior, yardstick, test)
    return {
        "features": {"name": features.name, "dim": features.dim, "why": chosen.why},
        "floor": {"fd": fd["floor"], "kd": kd["floor"], "neighbours": asdict(neighbours)},
        "reconstructions": reconstructions,
        "priors": priors,
        "warnings": [] if warning is None else [warning],
    }


def _samples(plan: Plan, prior: Prior, yardstick: Reference, test: MemorisationTest) -> Part:
    assert plan.description is not None, "samples are compared in features"
    features, copies = plan.description.features, plan.description.copies
    part, seconds, made, looked = f"drawing from {prior.name}", 0.0, [], []
    for start in range(0, plan.n, _CHUNK):
        began = time.perf_counter()
        count = min(_CHUNK, plan.n - start)
        codes = prior.sample(count, seed=plan.seed, start=start)
        images = decode(plan.run.decoder, codes, plan.run.settings.precision)
        seconds += time.perf_counter() - began
        made.append(_described(features, images))
        looked.append(made[-1] if copies is features else _described(copies, images))
        yield Progress(part=part, done=start + count, total=plan.n)
    yield Progress(part=f"measuring {prior.name}", done=0, total=1)
    found = test(torch.cat(looked))
    memorisation = {**asdict(found), "sentence": found.sentence}
    if found.heldout_distance > 0:
        memorisation["ratio"] = found.samples_distance / found.heldout_distance
    measured, _ = _measured(yardstick, torch.cat(made))
    return {**measured, "memorisation": memorisation, **_pace(plan.n, seconds)}


def _measured(yardstick: Reference, made: Tensor) -> tuple[dict[str, Any], str | None]:
    fd, kd = yardstick.frechet(made), yardstick.kernel(made)
    neighbours = yardstick.prdc(made)
    values = {"fd": asdict(fd), "kd": asdict(kd), "neighbours": asdict(neighbours)}
    return values, fd.warning


def _embedded(
    features: Features, samples: Dataset, rows: Tensor, which: str
) -> Generator[Progress, None, Tensor]:
    found: list[Tensor] = []
    for part in rows.split(_SMALL):
        found.append(_described(features, samples.batch(part)))
        done = sum(map(len, found))
        yield Progress(part=f"{features.name} of {which} examples", done=done, total=len(rows))
    return torch.cat(found)


@torch.no_grad()
def _described(features: Features, examples: Tensor) -> Tensor:
    return torch.cat([features(part).cpu() for part in examples.split(_SMALL)])


@torch.no_grad()
def _errors(output: Tensor, samples: Dataset, rows: Tensor) -> dict[str, Tensor]:
    target, observed = samples.batch(rows), samples.observed(rows)
    errors = {"mse": MSELoss()(output, target, observed)}
    # Both look at whole images.
    if samples.is_images and observed is None:
        errors |= {"psnr": psnr(output, target), "ssim": ssim(output, target)}
    return errors


def _means(errors: list[dict[str, Tensor]]) -> dict[str, Any]:
    every = {name: torch.cat([part[name] for part in errors]).double() for name in errors[0]}
    return {"n": len(every["mse"]), **{name: float(each.mean()) for name, each in every.items()}}


def _pace(n: int, seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "per_second": n / max(seconds, 1e-9)}


def _done(part: str, errors: list[dict[str, Tensor]], total: int) -> Progress:
    return Progress(part=part, done=sum(len(each["mse"]) for each in errors), total=total)
