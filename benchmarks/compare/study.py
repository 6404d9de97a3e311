"""Comparison of GLO with autoencoders, a DCGAN and PCA, at equal CPU seconds.

    python -m benchmarks.compare --data mnist --out results/compare-mnist --seconds 360
    python -m benchmarks.compare --data FOLDER --out results/compare-fashion --seconds 360

FOLDER holds IDX files (Debian: `dpkg -L dataset-fashion-mnist`). Needs
`benchmarks/compare/requirements.txt`.

Every method gets the same images, decoder, code size and budget: CPU seconds of one process with
one thread, all that it learns included. Each row of the table is written when it is done; the same
command makes the rows that are missing. Out come table.md, table.json and grid.png. With `--rows`
several processes may share one folder, if no two of them train the same model.
"""

import argparse
import gc
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.compare.budget import one_thread, pace
from benchmarks.compare.gan import make_dcgan
from benchmarks.compare.glo_method import RECIPES, make_glo
from benchmarks.compare.measure import Judge
from benchmarks.compare.pca import make_pca
from benchmarks.compare.problem import Made, Problem, write_atomically
from benchmarks.compare.report import write_report
from benchmarks.rows import begin_study

from glo.data import to_uint8

__all__ = ["main"]

# Samples kept of each method.
_KEPT = 100


def main() -> None:
    """Compute missing rows, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of IDX files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=360.0, help="CPU seconds a method has")
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="training images used; for trials")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="make these alone, see --list")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    choice = parser.parse_args()
    problem = Problem(
        data=choice.data,
        folder=choice.out,
        seconds=choice.seconds,
        n_samples=choice.n_samples,
        seed=choice.seed,
        limit=choice.limit,
    )
    with one_thread():
        rows = _rows(problem, judge := Judge(problem))
        if choice.list:
            print("\n".join(rows))
            return
        unknown = set(choice.rows or ()) - set(rows)
        if unknown:
            parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(rows)}")
        about: dict[str, Any] = {
            "data": problem.data,
            "fingerprint": problem.train.fingerprint,
            "seconds": problem.seconds,
            "n_samples": problem.n_samples,
            "seed": problem.seed,
        }
        begin_study(problem.folder, about)
        failed = []
        for name in choice.rows or rows:
            if not _make(problem, judge, name, rows[name]):
                failed.append(name)
            write_report(problem, list(rows), judge.about)
    print(f"{problem.folder / 'table.md'}" + (f"; failed: {', '.join(failed)}" if failed else ""))


def _rows(problem: Problem, judge: Judge) -> dict[str, Callable[[], Made]]:
    rows: dict[str, Callable[[], Made]] = {"training images": judge.floor}
    for recipe, about in RECIPES.items():
        for prior in about.priors:
            rows[f"{recipe} {prior}"] = lambda r=recipe, p=prior: make_glo(problem, r, p)  # type: ignore[misc]
    for model in ("ae", "vae", "wae", "rae-l2"):
        for count in (10, 100):
            rows[f"{model} mixture-{count}"] = lambda m=model, c=count: _pythae(problem, m, c)  # type: ignore[misc]
    rows["dcgan"] = lambda: make_dcgan(problem)
    rows["pca mixture-100"] = lambda: make_pca(problem, 100)
    return rows


def _pythae(problem: Problem, model: str, components: int) -> Made:
    # Imported late: without Pythae the other rows can still be made.
    from benchmarks.compare.pythae_methods import make_pythae

    return make_pythae(problem, model, components)


def _make(problem: Problem, judge: Judge, name: str, work: Callable[[], Made]) -> bool:
    """Compute one row unless it exists, and return whether it succeeded."""
    path = problem.folder / "rows" / f"{name.replace(' ', '-')}.json"
    if path.is_file():
        return True
    print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
    try:
        before = pace()
        made = work()
        row = {
            "name": name,
            "pace_ms": [before, pace()],
            "training": made.training,
            "fitting": made.fitting,
            "steps": made.steps,
            "notes": made.notes,
            "facts": made.facts,
            "measures": judge(made),
        }
    # One method that fails must not cost the others.
    except Exception:
        traceback.print_exc()
        return False
    write_atomically(path.with_suffix(".npy"), to_uint8(made.samples[:_KEPT]))
    write_atomically(path, row)
    spent = made.training["cpu"] + made.fitting["cpu"]
    print(f"  {spent:.0f} CPU s, FD of samples {row['measures']['fd_samples']:.2f}", flush=True)
    gc.collect()
    return True
