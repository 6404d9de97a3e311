"""Restoration of degraded test digits by inversion, against baselines.

    python benchmarks/restoration.py runs/mnist --n 1000 --out results/restoration

Four tasks: the left half missing, a hole of 16 x 16 in the middle, shrunk by 4, and noise of
standard deviation 0.5. Each figure is the mean over digits of the peak signal-to-noise ratio in
decibels, over the hidden pixels (all pixels where none is hidden), for values from -1 to 1.

The ways, all but the imputers made from the 60,000 training digits:

search      our one answer, held near the nearest starts by their Gaussian
average     our mean of several answers
mean        the mean training digit
pca         principal components under the same mask or operator, each held back by its variance
            (the posterior mean of probabilistic PCA)
linear      ridge regression of the whole digit on the observation
nearest     the training digit nearest to the observation
neighbours  the mean of the 5 nearest, which is what KNNImputer computes on whole training rows
knn         scikit-learn's KNNImputer, masks only, 2,000 training digits
iterative   scikit-learn's IterativeImputer, masks only, 1,000 training digits, 50 features each

The last two are slow, so they restore the first 100 digits only; the line says how the search does
on the same digits.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_source
from glo.imaging.grids import grid, save_picture
from glo.inversion import (
    AveragePool,
    InitialCodes,
    InversionOptions,
    Operator,
    add_noise,
    decode_initial_codes,
    half_mask,
    hole_mask,
    invert,
)
from glo.latents.init import fit_pca
from glo.runs.run import Run, open_run
from glo.utils.malloc import tune_malloc

NOISE = 0.5
FEW = 100
SHOWN = 16
COMPONENTS = 64
ITERATIVE = {
    "n_nearest_features": 50,
    "max_iter": 3,
    "min_value": -1.0,
    "max_value": 1.0,
    "random_state": 0,
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One kind of degradation and its observations."""

    name: str
    seen: Tensor
    operator: Operator | None = None
    observed: Tensor | None = None
    sd: float | None = None

    def look(self, images: Tensor) -> Tensor:
        """Return other images under the same degradation, flat, zero where hidden."""
        seen = images if self.operator is None else self.operator(images)
        return (seen if self.observed is None else seen * self.observed).flatten(1)


def main() -> None:
    """Restore every task by every method and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--starts", type=int, default=30_000)
    parser.add_argument("--answers", type=int, default=16)
    parser.add_argument("--tasks", nargs="+", default=["half", "hole", "shrunk", "noisy"])
    parser.add_argument("--imputers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="folder for pictures and figures")
    choice = parser.parse_args()
    tune_malloc()

    run = open_run(choice.run)
    kept = {name: getattr(run.settings, name) for name in ("size", "channels", "crop")}
    trained = open_source(run.data.source, SourceOptions(**kept, limit=run.settings.limit))
    unseen = open_source(run.data.source, SourceOptions(**kept, split="test", limit=choice.n))
    digits = unseen.batch(torch.arange(len(unseen)))
    starts = decode_initial_codes(run.decoder, run.codes, max_codes=choice.starts)
    found: dict[str, dict[str, float]] = {}
    for task in _tasks(digits):
        if task.name not in choice.tasks:
            continue
        print(f"{task.name}:")
        restored = dict(_simple(task, trained, len(digits)))
        restored |= _searched(task, run, starts, choice.answers)
        whole = {name: images for name, images in restored.items() if len(images) == len(digits)}
        figures = {name: psnr(images, digits, task) for name, images in whole.items()}
        if choice.imputers and task.observed is not None:
            for name, images in _imputed(task, trained):
                figures[f"{name} (first {len(images)})"] = psnr(images, digits, task)
                same = psnr(restored["average"][: len(images)], digits, task)
                figures[f"average (first {len(images)})"] = same
        for name, value in figures.items():
            print(f"  {name:24s} {value:7.2f} dB")
        found[task.name] = figures
        if choice.out:
            _draw(task, digits, restored, choice.out)
    if choice.out:
        (choice.out / "restoration.json").write_text(json.dumps(found, indent=2) + "\n")


def psnr(restored: Tensor, digits: Tensor, task: Task) -> float:
    """Return the mean over digits of 10 log10(4 / mse), over the hidden pixels."""
    errors = (restored.clamp(-1, 1) - digits[: len(restored)]).square()
    hidden = torch.ones_like(errors)
    if task.observed is not None:
        hidden = (1 - task.observed).expand_as(errors)
    mse = (errors * hidden).flatten(1).sum(1) / hidden.flatten(1).sum(1)
    return float((10 * torch.log10(4 / mse)).mean())


def _tasks(digits: Tensor) -> Iterator[Task]:
    shape = tuple(digits.shape[1:])
    for name, mask in (("half", half_mask(shape, "left")), ("hole", hole_mask(shape, 16))):
        yield Task(name=name, seen=digits * mask, observed=mask)
    pool = AveragePool(factor=4)
    yield Task(name="shrunk", seen=pool(digits), operator=pool)
    yield Task(name="noisy", seen=add_noise(digits, NOISE), sd=NOISE)


def _searched(task: Task, run: Run, starts: InitialCodes, answers: int) -> dict[str, Tensor]:
    shared: dict[str, Any] = {
        "operator": task.operator,
        "noise": task.sd,
        "prior": "local",
        "constraint": run.settings.constraint,
    }
    restored = {}
    for k in (1, answers):
        began = time.perf_counter()
        options = InversionOptions(n_solutions=k, **shared)
        found = invert(run.decoder, task.seen, starts, mask=task.observed, options=options)
        seconds = time.perf_counter() - began
        print(f"  {k} answers: {len(task.seen) / seconds:.1f} digits/s, ", end="")
        print(f"{float(found.steps.float().mean()) / k:.1f} decodings an answer, ", end="")
        print(f"residual {float(found.residuals.mean()):.4f}")
        restored["search" if k == 1 else "average"] = found.mean
    # A few single answers, to be drawn: they show what the observation leaves open.
    for number in range(3):
        with torch.no_grad():
            codes = found.solutions[:SHOWN, number * answers // 3]
            restored[f"answer {number}"] = run.decoder.eval()(codes).float()
    return restored


def _simple(task: Task, trained: Dataset, n: int) -> Iterator[tuple[str, Tensor]]:
    images = trained.batch(torch.arange(len(trained)))
    shape, flat = images.shape[1:], images.flatten(1)
    looks = torch.cat([task.look(part) for part in images.split(4096)])
    seen = task.look(torch.zeros(1, *shape)) * 0 + task.seen.flatten(1)
    mean = images.mean(0, keepdim=True)
    yield "mean", mean.expand(n, *shape)
    yield "pca", _pca(task, trained)
    yield "linear", _linear(task, looks, flat, seen).view(n, *shape)
    near = [
        (looks.square().sum(1) - 2 * part @ looks.T).topk(5, largest=False).indices
        for part in seen.split(250)
    ]
    rows = torch.cat(near)
    yield "nearest", images[rows[:, 0]]
    yield "neighbours", flat[rows].mean(1).view(n, *shape)


def _pca(task: Task, trained: Dataset) -> Tensor:
    pca = fit_pca(trained, COMPONENTS)
    shape = (1, *trained.shape)
    mean = task.look(pca.mean.view(shape))
    into = task.look(pca.components.view(-1, *trained.shape) + pca.mean.view(shape)) - mean
    noise = pca.pca_mse + (task.sd or 0.0) ** 2
    inner = into @ into.T / noise + torch.diag(1 / pca.variances)
    scores = torch.linalg.solve(inner, into @ (task.seen.flatten(1) - mean).T / noise)
    return (pca.mean + scores.T @ pca.components).view(-1, *trained.shape)


def _linear(task: Task, looks: Tensor, flat: Tensor, seen: Tensor) -> Tensor:
    if task.sd is not None:
        looks = add_noise(looks, task.sd, seed=1)
    centre, mean = looks.mean(0), flat.mean(0)
    apart = looks - centre
    gram = apart.T @ apart
    # Pixels that never change would make the matrix singular.
    gram += 1e-4 * gram.diagonal().mean() * torch.eye(len(gram))
    return mean + (seen - centre) @ torch.linalg.solve(gram, apart.T @ (flat - mean))


def _imputed(task: Task, trained: Dataset) -> Iterator[tuple[str, Tensor]]:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer

    assert task.observed is not None, "asked for masks only"
    holes = torch.where(task.observed > 0, task.seen[:FEW], math.nan).flatten(1).numpy()
    for name, n, imputer in (
        ("knn", 2000, KNNImputer()),
        ("iterative", 1000, IterativeImputer(**ITERATIVE)),
    ):
        rows = torch.linspace(0, len(trained) - 1, n).long()
        whole = trained.batch(rows).flatten(1).numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # In one table: an imputer learns only columns in which something is missing.
            filled = imputer.fit_transform(np.concatenate([whole, holes]))[n:]
        yield name, torch.from_numpy(filled).float().view(-1, *task.seen.shape[1:])


def _draw(task: Task, digits: Tensor, restored: dict[str, Tensor], out: Path) -> None:
    shown = task.seen[:SHOWN].clamp(-1, 1)
    if task.observed is not None:
        shown = torch.where(task.observed > 0, shown, torch.zeros_like(shown))
    shown = torch.nn.functional.interpolate(shown, size=digits.shape[2:], mode="nearest")
    order = ("mean", "pca", "linear", "nearest", "neighbours", "search", "average")
    answers = [name for name in restored if name.startswith("answer ")]
    lines = [shown, *(restored[name][:SHOWN] for name in (*order, *answers)), digits[:SHOWN]]
    columns = len(shown)
    save_picture(grid(torch.cat(lines), columns=columns), out / f"{task.name}.png")
    print(f"  {task.name}.png, line by line: seen, {', '.join((*order, *answers))}, the truth")


if __name__ == "__main__":
    main()
