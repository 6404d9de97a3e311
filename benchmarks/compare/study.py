"""Comparison of GLO with its alternatives at equal CPU seconds.

    python -m benchmarks.compare --seconds 480 --out results/compare
    python -m benchmarks.compare --data FOLDER --seconds 120 480 1800 --out results/compare
    python -m benchmarks.compare --seconds 960 --models ae-ours vae --out results/compare
    python -m benchmarks.compare --report --out results/compare

FOLDER holds IDX files (Debian: `dpkg -L dataset-fashion-mnist`); its name becomes the name of the
data.

Every method gets the same images, code size and budget, CPU seconds of one process with one thread,
all that it learns included; and, but for PCA and flow matching on pixels, the same decoder. A model
is trained once for all of its samplers. Models and samplers of one budget and seed have a row each,
a JSON file with an array of images beside it, written when it is done. The same command makes the
rows that are missing, so a study may be continued in any order, and several processes may share a
folder: none takes a model that another works on. Each table also has the models of `TWICE` with
twice its seconds, where they were made.
"""

import argparse
import gc
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.compare.budget import Stopwatch, one_thread, pace
from benchmarks.compare.measure import Judge
from benchmarks.compare.methods import METHODS
from benchmarks.compare.problem import Problem
from benchmarks.compare.report import FLOOR, write_reports
from benchmarks.compare.samplers import draw
from benchmarks.rows import Rows, claimed

__all__ = ["RESULTS", "main", "make_rows"]

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Compute missing rows, then write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of IDX files")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seconds", type=float, nargs="+", default=[480.0], help="budgets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", metavar="NAME", choices=METHODS, default=[*METHODS])
    parser.add_argument("--samplers", nargs="+", metavar="NAME", help="make rows of these alone")
    parser.add_argument("--n", type=int, help="training images used; for trials")
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--n-heldout", type=int, default=1000)
    parser.add_argument("--list", action="store_true", help="print models and samplers and stop")
    parser.add_argument("--report", action="store_true", help="write the tables alone")
    choice = parser.parse_args()
    if choice.list:
        print("\n".join(f"{name:12s} {' '.join(m.samplers)}" for name, m in METHODS.items()))
        return
    with one_thread():
        for seconds in () if choice.report else choice.seconds:
            for seed in choice.seeds:
                problem = Problem(
                    data=choice.data,
                    root=choice.out,
                    seconds=seconds,
                    seed=seed,
                    n=choice.n,
                    n_samples=choice.n_samples,
                    n_heldout=choice.n_heldout,
                )
                plan = {name: METHODS[name].samplers for name in choice.models}
                make_rows(problem, plan, only=choice.samplers)
    for path in write_reports(choice.out):
        print(path)


def make_rows(
    problem: Problem, plan: Mapping[str, Sequence[str]], *, only: Sequence[str] | None = None
) -> None:
    """Compute the missing rows of one budget and seed.

    Args:
        problem: the task.
        plan: samplers of each model, for the costliest of which the model leaves time.
        only: the samplers of these that are made; None: all.
    """
    about = {
        "data": problem.shared.name,
        "fingerprint": problem.train.fingerprint,
        "n": len(problem.train),
        "seconds": problem.seconds,
        "seed": problem.seed,
        "n_samples": problem.n_samples,
        "n_heldout": problem.n_heldout,
    }
    rows, judge = Rows(problem.folder, about), Judge(problem)
    for name in (FLOOR, *plan):
        with claimed(problem.folder / "models" / f"{name}.lock") as ours:
            if ours and name == FLOOR:
                rows.make(FLOOR, judge.floor)
            elif ours:
                _make_method(problem, rows, judge, name, plan[name], only)
        gc.collect()


def _make_method(
    problem: Problem,
    rows: Rows,
    judge: Judge,
    name: str,
    samplers: Sequence[str],
    only: Sequence[str] | None,
) -> None:
    method = METHODS[name]
    # Loaded only if a row is missing.
    model = cache(lambda: method.model(problem, name, samplers))

    def of_model() -> dict[str, Any]:
        learned = model()
        return {
            "model": name,
            "training": learned.training,
            "steps": learned.steps,
            "notes": learned.notes,
            "facts": learned.facts,
            **judge.model(learned, rebuilds=method.rebuilds, searches=method.searches),
        }

    def of_sampler(sampler: str) -> dict[str, Any]:
        learned = model()
        drawn = draw(problem, learned, sampler)
        decoding = Stopwatch()
        images = learned.decode(drawn.codes)
        return {
            "model": name,
            "sampler": sampler,
            "fitting": drawn.fitting,
            "drawing": drawn.drawing,
            "decoding": decoding.read(),
            "notes": drawn.notes,
            **judge.samples(images),
        }

    if rows.make(name, partial(_paced, of_model)) is None:
        return
    for sampler in samplers:
        if only is None or sampler in only:
            rows.make(f"{name} {sampler}", partial(_paced, partial(of_sampler, sampler)))


def _paced(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a row with the pace of the machine before and after it."""
    before = pace()
    row = work()
    return row | {"pace_ms": [before, pace()]}
