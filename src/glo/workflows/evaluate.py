"""Evaluation of a run: reconstructions, halves, samples of each prior, memorisation."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from scipy.stats import spearmanr
from torch import Tensor

from glo.data import Dataset
from glo.decoders.decode import decode
from glo.features.base import Features, embed
from glo.inversion import InitialCodes, half_mask
from glo.losses import MSELoss
from glo.metrics import MemorisationTest, Reference, psnr, ssim
from glo.metrics.reconstruction import MIN_SIDE
from glo.priors import Prior
from glo.utils.device import find_device
from glo.utils.json_toml import finite_json
from glo.workflows.encode import (
    ProgressCallback,
    encode_batches,
    encode_dataset,
    prepare_search,
)
from glo.workflows.evaluation_plan import EvaluationPlan, FeatureChoice

__all__ = ["evaluate", "nearest_by_left_half"]

# Whole blocks of most priors.
_SAMPLE_BATCH = 1024
_BATCH = 512
# Held-out images whose halves are measured.
_MAX_HALVES = 500


def _ignore(part: str, done: int, total: int) -> None:
    pass


def evaluate(plan: EvaluationPlan, *, callback: ProgressCallback = _ignore) -> dict[str, Any]:
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
    plan.run.decoder.to(find_device("auto"))
    evaluation = _Evaluation(plan, callback, list(plan.notes))
    values: dict[str, Any] = {
        "run": str(plan.run.folder),
        "data": plan.run.data.to_dict(),
        "n": plan.n,
        "seed": plan.seed,
        "training": evaluation.training_errors(),
        "heldout": None if plan.heldout is None else evaluation.heldout_errors(plan.heldout),
    }
    if plan.heldout is not None and _has_halves(plan.heldout):
        values["halves"] = evaluation.half_errors(plan.heldout)
    if plan.features is not None and plan.heldout is not None:
        values |= evaluation.distances(plan.features, plan.heldout)
    values |= {"notes": evaluation.notes, "seconds": time.perf_counter() - started}
    figures: dict[str, Any] = finite_json(values)
    return figures


@final
@dataclass
class _Evaluation:
    plan: EvaluationPlan
    callback: ProgressCallback
    notes: list[str]
    reconstructions: list[Tensor] = field(default_factory=list)
    """Features of the reconstructions of training examples, batch by batch."""

    @cached_property
    def initial_codes(self) -> InitialCodes:
        return prepare_search(self.plan.run)

    def decode(self, codes: Tensor) -> Tensor:
        return decode(self.plan.run.decoder, codes, self.plan.run.settings.precision)

    def training_errors(self) -> dict[str, Any]:
        plan, errors, done = self.plan, [], 0
        for rows in plan.training_rows[: plan.n].split(_BATCH):
            images = self.decode(plan.run.codes[rows])
            errors.append(_errors(images, plan.training, rows))
            if plan.features is not None:
                self.reconstructions.append(_embed(plan.features.distances, images))
            done += len(rows)
            self.callback("reconstructing training examples", done, plan.n)
        return _means(errors)

    def heldout_errors(self, heldout: Dataset) -> dict[str, Any]:
        plan, part = self.plan, "searching codes of held-out examples"
        errors, steps, seconds = [], [], 0.0
        self.callback(part, 0, plan.n)
        started = time.perf_counter()
        initial_codes = self.initial_codes
        for batch in encode_dataset(
            plan.run,
            heldout,
            initial_codes,
            rows=plan.heldout_rows,
            callback=lambda _, done, total: self.callback(part, done, total),
        ):
            seconds += time.perf_counter() - started
            errors.append(_errors(batch.inversion.reconstructions, heldout, batch.rows))
            steps.append(batch.inversion.steps)
            started = time.perf_counter()
        decodings = float(torch.cat(steps).double().mean())
        means = _means(errors)
        return means | {"name": heldout.name, "decodings": decodings} | _speed(plan.n, seconds)

    def half_errors(self, heldout: Dataset) -> dict[str, Any]:
        """Find codes on the left halves of images, and measure the right halves.

        Beside them the right halves of the training images with the nearest left halves, and how
        far the error of the left half predicts that of the right one.

        Reference:
            Martin-Brualla et al., "NeRF in the wild: Neural radiance fields for unconstrained photo
            collections", CVPR 2021, section 5, evaluates appearance codes so.
        """
        plan, part = self.plan, "searching codes of left halves"
        rows = plan.heldout_rows[:_MAX_HALVES]
        mask = half_mask(heldout.shape, "right")
        self.callback(part, 0, len(rows))
        initial_codes = self.initial_codes
        found = [
            batch.inversion
            for batch in encode_batches(
                plan.run,
                rows,
                lambda batch: (heldout.batch(batch), mask),
                initial_codes,
                callback=lambda _, done, total: self.callback(part, done, total),
            )
        ]
        images = torch.cat([inversion.reconstructions for inversion in found])
        seen = torch.cat([inversion.residuals for inversion in found]).double()
        truth = heldout.batch(rows)
        right = _right_errors(images, truth)
        near = nearest_by_left_half(truth, plan.training, plan.training_rows[: plan.n])
        baseline = _right_errors(plan.training.batch(near), truth)
        hidden = right["mse"].double()
        varies = float(seen.std()) > 0 and float(hidden.std()) > 0
        rank = float(spearmanr(seen.numpy(), hidden.numpy()).statistic) if varies else None
        return _means([right]) | {
            "nearest": _means([baseline]),
            "left_mse": float(seen.mean()),
            "rank_correlation": rank,
        }

    def distances(self, choice: FeatureChoice, heldout: Dataset) -> dict[str, Any]:
        plan, features, memorisation = self.plan, choice.distances, choice.memorisation
        same = memorisation is features
        unseen = self.embed_rows(features, heldout, plan.heldout_rows, "held-out")
        rows = plan.training_rows if same else plan.training_rows[: plan.n]
        training = self.embed_rows(features, plan.training, rows, "training")
        reference = Reference(features.name, heldout=unseen, training=training[: plan.n])
        if not same:
            unseen = self.embed_rows(memorisation, heldout, plan.heldout_rows, "held-out")
            rows = plan.training_rows
            training = self.embed_rows(memorisation, plan.training, rows, "training")
        test = MemorisationTest(training, unseen, features=memorisation.name, seed=plan.seed)
        self.callback("measuring the reconstructions", 0, 1)
        reconstructions = _distances(reference, torch.cat(self.reconstructions))
        self.notes += reference.warnings(plan.n)
        floor = {name: reconstructions[name]["floor"] for name in ("fd", "kd")}
        return {
            "features": {"name": features.name, "dim": features.dim, "why": choice.reason},
            "floor": floor | {"prdc": asdict(reference.prdc_floor(plan.n))},
            "reconstructions": reconstructions,
            "priors": {
                prior.name: self.samples(choice, prior, reference, test) for prior in plan.priors
            },
        }

    def samples(
        self, choice: FeatureChoice, prior: Prior, reference: Reference, test: MemorisationTest
    ) -> dict[str, Any]:
        plan, seconds, embedded, for_test = self.plan, 0.0, [], []
        for start in range(0, plan.n, _SAMPLE_BATCH):
            started = time.perf_counter()
            count = min(_SAMPLE_BATCH, plan.n - start)
            images = self.decode(prior.sample(count, seed=plan.seed, start=start))
            seconds += time.perf_counter() - started
            embedded.append(_embed(choice.distances, images))
            same = choice.memorisation is choice.distances
            for_test.append(embedded[-1] if same else _embed(choice.memorisation, images))
            self.callback(f"drawing from {prior.name}", start + count, plan.n)
        self.callback(f"measuring {prior.name}", 0, 1)
        result = test(torch.cat(for_test))
        memorisation = {**asdict(result), "sentence": result.sentence}
        if result.heldout_distance > 0:
            memorisation["ratio"] = result.samples_distance / result.heldout_distance
        distances = _distances(reference, torch.cat(embedded))
        return distances | {"memorisation": memorisation} | _speed(plan.n, seconds)

    def embed_rows(self, features: Features, dataset: Dataset, rows: Tensor, name: str) -> Tensor:
        def batches() -> Iterator[Tensor]:
            done = 0
            for part in rows.split(_BATCH):
                yield dataset.batch(part)
                done += len(part)
                self.callback(f"{features.name} of {name} examples", done, len(rows))

        return embed(features, batches())


def nearest_by_left_half(images: Tensor, training: Dataset, rows: Tensor) -> Tensor:
    """Return the row of the training image with the nearest left half for each image, int64 (b,).

    Args:
        images: (b, C, H, W).
        training: training images.
        rows: int64 (m,), rows of them to compare with.
    """
    best = torch.full((len(images),), torch.inf)
    nearest = torch.zeros(len(images), dtype=torch.int64)
    width = images.shape[3] // 2
    left = images[..., :width].flatten(1)
    for part in rows.split(_BATCH):
        distance = torch.cdist(left, training.batch(part)[..., :width].flatten(1))
        lowest, place = distance.min(1)
        nearest = torch.where(lowest < best, part[place], nearest)
        best = torch.minimum(lowest, best)
    return nearest


def _has_halves(heldout: Dataset) -> bool:
    complete = heldout.observed(torch.zeros(1, dtype=torch.int64)) is None
    return heldout.is_images and complete and heldout.shape[2] > 1


def _right_errors(images: Tensor, target: Tensor) -> dict[str, Tensor]:
    middle = target.shape[3] // 2
    images, target = images[..., middle:], target[..., middle:]
    errors = {"mse": MSELoss()(images, target, None), "psnr": psnr(images, target)}
    # The window of SSIM does not fit smaller halves.
    return errors | ({"ssim": ssim(images, target)} if min(target.shape[2:]) >= MIN_SIDE else {})


def _distances(reference: Reference, embedded: Tensor) -> dict[str, Any]:
    fd, kd, prdc = reference.frechet(embedded), reference.kernel(embedded), reference.prdc(embedded)
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
