"""Imputation of digits with pixels missing at random.

    python benchmarks/missing.py --out results/missing

MNIST at 16 x 16, the first 3,000 training digits; 30 % and then 50 % of all pixels are hidden, of
each digit others. Small, because scikit-learn's imputers have to run at all: IterativeImputer makes
a regression for each of 256 columns and each round, KNNImputer compares every row with every other
(60,000 rows would be 29 GB of distances). `--no-imputers` leaves both out for larger sets.

Nobody sees the hidden pixels. Every way may choose its own settings by another 5 % of the pixels
that are hidden from it as well; the table names the choice.

mean        the mean digit
pca         iterative PCA: fitted and filled in turn, components shrunk by the noise; rank chosen
knn         KNNImputer; number of neighbours chosen
iterative   IterativeImputer with BayesianRidge; on how many of the other pixels is chosen
glo         `glo.GLO(...).fit(X)` with NaN, then `inverse_transform(transform(X))`; size of the code
            and epochs chosen
glo mean    the same model, mean of 16 answers of `glo.workflows.encode.encode`

Errors are over hidden pixels with values from -1 to 1; PSNR is 10 log10(4 / MSE), mean over digits.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imputers import Table, by_iterative, by_mean, by_neighbours, by_pca, hide
from numpy.typing import NDArray
from rows import Rows, markdown
from torch import Tensor

import glo
from glo.imaging.grids import grid, save_picture
from glo.utils.malloc import tune_malloc
from glo.workflows.encode import encode_batches, prepare_search

CHOOSING = 0.05
SHOWN = 16
ANSWERS = 16


def main() -> None:
    """Hide pixels, impute by every method, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=3000)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.5])
    parser.add_argument("--code-dims", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--epochs", type=int, nargs="+", default=[20, 60])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--ranks", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--neighbours", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--features", type=int, nargs="+", default=[30, 100])
    parser.add_argument("--imputers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    choice = parser.parse_args()
    tune_malloc()

    samples = glo.open_source("mnist", glo.SourceOptions(size=choice.size, limit=choice.n))
    whole = samples.batch(torch.arange(len(samples)))
    about = {name: getattr(choice, name) for name in ("n", "size", "width", "seed")}
    rows = Rows(choice.out, about)
    table: list[list[str]] = []
    for share in choice.shares:
        task = Task(whole, share, choice.seed)
        found = _fill(task, rows, choice)
        table += _lines(share, found)
        _draw(task, rows, found)
    heads = ["hidden", "way", "chosen", "MSE", "PSNR, dB", "seconds"]
    text = markdown(heads, table)
    (choice.out / "table.md").write_text(text, "utf-8")
    print(text)


class Task:
    """Digits with a fraction of the pixels hidden.

    Args:
        whole: (N, 1, S, S) in [-1, 1].
        share: of the pixels that is hidden.
        seed: of the choice.
    """

    def __init__(self, whole: Tensor, share: float, seed: int) -> None:
        self.whole, self.share, self.seed = whole, share, seed
        flat = whole.flatten(1).double().numpy()
        self.hidden = hide(flat, share, seed)
        holes = np.where(self.hidden, np.nan, flat)
        # Hidden as well, to choose settings by.
        self.choosing = hide(holes, CHOOSING, seed + 1)
        self.truth = flat
        self.seen = np.where(self.choosing, np.nan, holes)

    def measure(self, filled: Table) -> dict[str, Any]:
        """Return errors on the hidden pixels, on the validation pixels, and the first digits."""
        errors = np.square(np.clip(filled, -1, 1) - self.truth)
        each = (errors * self.hidden).sum(1) / np.maximum(self.hidden.sum(1), 1)
        return {
            "mse": float(errors[self.hidden].mean()),
            "psnr": float((10 * np.log10(4 / each)).mean()),
            "choosing": float(errors[self.choosing].mean()),
            "first": filled[:SHOWN].astype(np.float32),
        }


def _fill(task: Task, rows: Rows, choice: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the best row of every method."""
    ways: dict[str, dict[str, Callable[[], Mapping[str, Any]]]] = {
        "mean": {"": partial(_by, task, by_mean)},
        "pca": {
            f"rank {rank}": partial(_by, task, partial(by_pca, rank=rank)) for rank in choice.ranks
        },
    }
    if choice.imputers:
        ways["knn"] = {
            f"{k} neighbours": partial(_by, task, partial(by_neighbours, k=k))
            for k in choice.neighbours
        }
        ways["iterative"] = {
            f"{count} pixels": partial(_by, task, partial(by_iterative, features=count, rounds=5))
            for count in choice.features
        }
    ways["glo"] = {
        f"D {dim}, {epochs} epochs": partial(_by_glo, task, rows, choice, dim, epochs)
        for dim, epochs in product(choice.code_dims, choice.epochs)
    }
    found: dict[str, dict[str, Any]] = {}
    for way, options in ways.items():
        made = []
        for about, work in options.items():
            row = rows.make(f"{task.share:g} {way} {about}".strip(), work)
            if row is not None:
                made.append(row | {"chosen": about})
        if made:
            found[way] = min(made, key=lambda row: row["choosing"])
    if "glo" in found:
        best = found["glo"]
        folder = rows.folder / "runs" / best["run"]
        name = f"{task.share:g} glo mean {best['chosen']}"
        row = rows.make(name, partial(_mean_of_answers, task, folder))
        if row is not None:
            more = {"chosen": best["chosen"], "seconds": best["seconds"] + row["seconds"]}
            found["glo mean"] = row | more
    return found


def _by(task: Task, fill: Callable[[Table], tuple[Table, Any]]) -> dict[str, Any]:
    began = time.perf_counter()
    filled = fill(task.seen)[0]
    return task.measure(filled) | {"seconds": time.perf_counter() - began}


def _by_glo(
    task: Task, rows: Rows, choice: argparse.Namespace, dim: int, epochs: int
) -> dict[str, Any]:
    images = task.seen.reshape(-1, choice.size, choice.size).astype(np.float32)
    name = f"{round(100 * task.share)}-{dim}-{epochs}"
    model = glo.GLO(
        code_dim=dim,
        epochs=epochs,
        width=choice.width,
        seed=task.seed,
        prior="gaussian",
        # An interrupted study resumes its training.
        run=rows.folder / "runs" / name,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(images)
    began = time.perf_counter()
    filled = model.inverse_transform(model.transform(images))
    seconds = model.summary_["seconds"] + time.perf_counter() - began
    own = model.inverse_transform(model.codes_)
    return task.measure(_flat(filled)) | {
        "trained_codes_mse": task.measure(_flat(own))["mse"],
        "known_mse": model.summary_["mse"],
        "training_seconds": model.summary_["seconds"],
        "seconds": seconds,
        "run": name,
    }


def _mean_of_answers(task: Task, folder: Path) -> dict[str, Any]:
    run, began = glo.open_run(folder), time.perf_counter()
    seen = torch.from_numpy(task.seen).float().view(-1, *run.data.shape)
    initial_codes, parts = prepare_search(run), []

    def load(rows: Tensor) -> tuple[Tensor, Tensor]:
        return seen[rows], (~seen[rows].isnan()).float()

    rows = torch.arange(len(seen))
    for batch in encode_batches(run, rows, load, initial_codes, n_solutions=ANSWERS):
        parts.append(batch.inversion.mean)
    filled = _flat(torch.cat(parts).numpy())
    return task.measure(filled) | {"seconds": time.perf_counter() - began}


def _flat(images: NDArray[Any]) -> Table:
    return images.reshape(len(images), -1).astype(np.float64)


def _lines(share: float, found: dict[str, dict[str, Any]]) -> list[list[str]]:
    return [
        [
            f"{share:.0%}",
            way,
            row["chosen"],
            f"{row['mse']:.4f}",
            f"{row['psnr']:.2f}",
            f"{row['seconds']:.0f}",
        ]
        for way, row in found.items()
    ]


def _draw(task: Task, rows: Rows, found: dict[str, dict[str, Any]]) -> None:
    """Save the first digits: observation, imputation by every method, and truth."""
    side = math.isqrt(task.truth.shape[1])
    lines = [np.nan_to_num(task.seen[:SHOWN])]
    for row in found.values():
        kept = rows.arrays(row["name"])["first"]
        lines.append(np.where(np.isnan(task.seen[:SHOWN]), kept, task.seen[:SHOWN]))
    lines.append(task.truth[:SHOWN])
    images = torch.from_numpy(np.concatenate(lines)).float().view(-1, 1, side, side)
    path = rows.folder / f"hidden-{round(100 * task.share)}.png"
    save_picture(grid(images, columns=SHOWN), path)
    print(f"{path}, line by line: seen, {', '.join(found)}, the truth")


if __name__ == "__main__":
    main()
