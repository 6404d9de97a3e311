"""Reconstruction of unseen rows and imputation of removed values in tables.

    python benchmarks/tables.py --out results/tables

Three sets: `digits` (1,797 pictures of 8 x 8 pixels as 64 columns) and `breast-cancer` (569 rows of
30 measurements) of scikit-learn, and `spectra`, 1,000 synthetic ones of 200 channels made by
`benchmarks/spectra.py`. A fifth of the rows is kept unseen. Columns are standardised by what is
known of the training rows, and columns that hardly vary (pixels that are black in more than 95 % of
the digits) are left out, as an error in their standard deviations would be all that counts. For
every seed the rows are parted and the values removed anew.

1. Nothing is missing. A way learns from the training rows and puts the unseen ones together again
   from D numbers: principal components, and GLO, `inverse_transform(transform(X))`. (Spectra have
   missing channels always; there the errors are in all channels, against the truth without noise.)
2. A share of the values is removed at random, of training and of unseen rows. Errors are in removed
   values alone, in training rows and in unseen ones. The others: the mean, KNNImputer,
   IterativeImputer with BayesianRidge, iterative PCA. Each may choose its own settings by another
   5 % of the known values that are hidden from it; GLO is shown with its defaults as well.

Errors are root mean squares in standard deviations of the columns: 1 is about the mean.
"""

import argparse
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from imputers import Filled, Table, by_iterative, by_mean, by_neighbours, by_pca, hide
from numpy.typing import NDArray
from rows import Rows, markdown, spread
from spectra import make_spectra

import glo
from glo.config.settings import Settings

CHOOSING = 0.05
UNSEEN = 0.2
RARE = 0.05
# IterativeImputer regresses on all other columns where there are not more than so many.
ALL = 64
SETS = ("digits", "breast-cancer", "spectra")
SHOWN = 4
# Size of the code where nothing is chosen.
DIM = 16


@dataclass(frozen=True, kw_only=True)
class Part:
    """Standardized rows.

    Attributes:
        seen: (n, F), NaN where a value is missing or removed.
        truth: (n, F), what the errors are measured against.
        removed: bool (n, F), where they are measured.
    """

    seen: Table
    truth: Table
    removed: NDArray[np.bool_]

    def error(self, filled: Table) -> float:
        """Return the root mean square error on removed values."""
        return float(np.sqrt(np.square(filled - self.truth)[self.removed].mean()))


@dataclass(frozen=True, kw_only=True)
class Task:
    """Training and unseen rows, with validation values hidden in the training rows."""

    train: Part
    unseen: Part
    choosing: NDArray[np.bool_]

    def measure(self, filled: Filled) -> dict[str, Any]:
        """Return the errors of training rows and unseen ones."""
        whole, other = filled
        assert other is not None, "unseen rows are filled as well"
        known = np.square(whole - self.train.truth)[self.choosing]
        return {
            "train": self.train.error(whole),
            "unseen": self.unseen.error(other),
            "choosing": float(np.sqrt(known.mean())) if len(known) else 0.0,
            "first": other[:SHOWN],
        }


def main() -> None:
    """Measure every method on every data set, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.3])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--code-dims", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--epochs", type=int, help="of GLO by default; for trials")
    parser.add_argument("--limit", type=int, help="rows used; for trials")
    parser.add_argument("--out", type=Path, required=True)
    choice = parser.parse_args()

    rows = Rows(choice.out, {"epochs": choice.epochs, "limit": choice.limit})
    text = _rebuilding(rows, choice) + "\n" + _removing(rows, choice)
    (choice.out / "tables.md").write_text(text, "utf-8")
    print(text)


def make_task(name: str, share: float, seed: int, limit: int | None = None) -> Task:
    """Open a data set, split its rows, and remove values.

    Args:
        name: of the set.
        share: of the values that is removed; 0: none, and errors are in all values.
        seed: of both.
        limit: rows used.
    """
    seen, truth = _open(name, seed)
    order = np.random.default_rng(seed).permutation(len(seen))[:limit]
    cut = int(UNSEEN * len(order))
    learned = seen[order[cut:]]
    # What is rare in the training rows cannot be learned from them.
    varies = np.mean(learned != np.nanmedian(learned, 0), 0) > RARE
    seen, truth, learned = seen[:, varies], truth[:, varies], learned[:, varies]
    mean, scale = np.nanmean(learned, 0), np.nanstd(learned, 0)
    seen, truth = (seen - mean) / scale, (truth - mean) / scale
    parts = []
    for place, index in enumerate((order[cut:], order[:cut])):
        removed = hide(seen[index], share, 10 * seed + place)
        holes = np.where(removed, np.nan, seen[index])
        where = removed if share else np.ones_like(removed)
        parts.append(Part(seen=holes, truth=truth[index], removed=where))
    train, unseen = parts
    choosing = hide(train.seen, CHOOSING if share else 0.0, 10 * seed + 2)
    train = Part(
        seen=np.where(choosing, np.nan, train.seen), truth=train.truth, removed=train.removed
    )
    return Task(train=train, unseen=unseen, choosing=choosing)


def _open(name: str, seed: int) -> tuple[Table, Table]:
    if name == "spectra":
        made = make_spectra(1000, seed=seed)
        return made.seen, made.clean
    from sklearn.datasets import load_breast_cancer, load_digits

    data = (load_digits if name == "digits" else load_breast_cancer)().data
    return data, data


def _rebuilding(rows: Rows, choice: argparse.Namespace) -> str:
    lines = []
    for name in choice.sets:
        for dim in choice.code_dims:
            ways = {"PCA": _pca_projection, "GLO": _by_glo}
            cells = [name, str(dim)]
            for way, work in ways.items():
                made = []
                for seed in range(choice.seeds):
                    rebuild = partial(_rebuilt, work, name, dim, seed, choice)
                    row = rows.make(f"{name} whole {way} D {dim} seed {seed}", rebuild)
                    made += [row] if row else []
                cells += [spread([row[part] for row in made]) for part in ("train", "unseen")]
                cells.append(f"{np.mean([row['cpu'] for row in made]):.0f}")
            lines.append(cells)
    heads = ["set", "D"] + [f"{w}, {h}" for w in ("PCA", "GLO") for h in ("train", "unseen", "s")]
    return markdown(heads, lines)


def _rebuilt(
    work: Callable[..., Filled], name: str, dim: int, seed: int, choice: argparse.Namespace
) -> dict[str, Any]:
    task = make_task(name, 0.0, seed, choice.limit)
    return task.measure(work(task, dim=dim, seed=seed, epochs=choice.epochs))


def _removing(rows: Rows, choice: argparse.Namespace) -> str:
    lines = []
    for name in choice.sets:
        for share in choice.shares:
            best: dict[str, list[dict[str, Any]]] = {}
            for seed in range(choice.seeds):
                task = make_task(name, share, seed, choice.limit)
                found = _best(task, rows, f"{name} {share:g}", choice, seed)
                for way, row in found.items():
                    best.setdefault(way, []).append(row)
                if seed == 0 and name == "spectra":
                    _draw(task, rows, found, f"{name}-{round(100 * share)}")
            lines += [
                [
                    name,
                    f"{share:.0%}",
                    way,
                    spread([row["train"] for row in made]),
                    spread([row["unseen"] for row in made]),
                    f"{np.mean([row['cpu'] for row in made]):.1f}",
                    ", ".join(dict.fromkeys(row["chosen"] for row in made)),
                ]
                for way, made in best.items()
            ]
    return markdown(["set", "removed", "way", "train", "unseen", "CPU s", "chosen"], lines)


def _best(
    task: Task, rows: Rows, about: str, choice: argparse.Namespace, seed: int
) -> dict[str, dict[str, Any]]:
    """Return for every method the row with the best validation error."""
    both = (task.train.seen, task.unseen.seen)
    width = both[0].shape[1]
    ways: dict[str, dict[str, Callable[[], Filled]]] = {
        "mean": {"": partial(by_mean, *both)},
        "KNNImputer": {f"k {k}": partial(by_neighbours, *both, k=k) for k in (3, 5, 10)},
        "IterativeImputer": {
            f"{count or 'all'} columns": partial(by_iterative, *both, features=count, seed=seed)
            for count in (20, 50, None)
            if (width <= ALL if count is None else count < width)
        },
        "iterative PCA": {
            f"rank {rank}": partial(by_pca, *both, rank=rank)
            for rank in (2, 4, 8, 16)
            if rank < width
        },
        f"GLO, D {DIM}": {"": partial(_by_glo, task, dim=DIM, seed=seed, epochs=choice.epochs)},
        "GLO, chosen": {
            f"D {dim}, {steps} steps": partial(
                _by_glo, task, dim=dim, seed=seed, epochs=_epochs(len(both[0]), steps)
            )
            for dim, steps in product(choice.code_dims, choice.steps)
        },
    }
    found = {}
    for way, options in ways.items():
        made: list[Mapping[str, Any]] = []
        for chosen, fill in options.items():
            label = f"{about} {way} {chosen} seed {seed}".replace("  ", " ")
            row = rows.make(label, partial(_filled, task, fill))
            made += [row | {"chosen": chosen}] if row else []
        if made:
            found[way] = dict(min(made, key=lambda row: float(row["choosing"])))
    return found


def _epochs(n: int, steps: int) -> int:
    """Return the number of epochs of n rows for a number of steps at the default batch size."""
    return max(1, round(steps / Settings().steps_per_epoch(n)))


def _filled(task: Task, fill: Callable[[], Filled]) -> dict[str, Any]:
    return task.measure(fill())


def _pca_projection(task: Task, *, dim: int, seed: int, epochs: int | None) -> Filled:
    from sklearn.decomposition import PCA

    # Spectra have holes: what the regularised PCA fills in them stands in the training rows.
    holed = bool(np.isnan(task.train.seen).any())
    whole, other = (
        by_pca(task.train.seen, task.unseen.seen, rank=dim)
        if holed
        else (task.train.seen, task.unseen.seen)
    )
    pca = PCA(min(dim, *whole.shape)).fit(whole)
    both = [pca.inverse_transform(pca.transform(part)) for part in (whole, other)]
    return both[0], both[1]


def _by_glo(task: Task, *, dim: int, seed: int, epochs: int | None) -> Filled:
    model = glo.GLO(code_dim=dim, epochs=epochs, random_state=seed, prior="gaussian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(task.train.seen)
    parts = (task.train.seen, task.unseen.seen)
    both = [model.inverse_transform(model.transform(part)) for part in parts]
    return both[0], both[1]


def _draw(task: Task, rows: Rows, found: dict[str, dict[str, Any]], name: str) -> None:
    """Draw some unseen spectra: observation, truth, and the line of each method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3 * SHOWN), layout="constrained")
    for place, axes in enumerate(np.atleast_1d(figure.subplots(SHOWN, 1))):
        axes.plot(task.unseen.seen[place], "k.", markersize=3, label="seen")
        axes.plot(task.unseen.truth[place], "k-", linewidth=0.8, label="truth, without noise")
        for way in ("KNNImputer", "IterativeImputer", "GLO, chosen"):
            if way in found:
                made = rows.arrays(found[way]["name"])["first"][place]
                axes.plot(made, linewidth=1, label=way)
    figure.axes[0].legend(ncols=5)
    figure.savefig(rows.folder / f"{name}.png", dpi=100)


if __name__ == "__main__":
    main()
