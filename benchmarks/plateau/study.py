"""Study of a TensorLayer project that stalls at an error of 0.2.

    python -m benchmarks.plateau --out benchmarks/plateau/results
    python -m benchmarks.plateau --list
    python -m benchmarks.plateau --only grid 'theirs-*' --out benchmarks/plateau/results

One thread. Each cell is a JSON file and a picture, written whole or not at all when it is done; the
same command makes those that are missing, the most telling first, and then the report. Several
processes may share a folder: none takes a cell that another is making.

The full-size replay alone is half an hour. Where a run of `glo train mnist --preset
tensorlayer-baseline` exists, `--adopt replay=RUN` measures that run in its place.
"""

import argparse
import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarks.compare.budget import one_thread
from benchmarks.plateau.cell import FULL, Cell, N
from benchmarks.plateau.cells import find_cells
from benchmarks.plateau.make import SHOWN, adopt_cell, make_cell
from benchmarks.plateau.problem import Problem, baselines, mnist_problem
from benchmarks.plateau.report import write_report
from benchmarks.rows import begin_study, claimed, this_machine, write_json

from glo.imaging.grids import grid, save_picture

__all__ = ["main", "run_study"]

_RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Compute missing cells, then write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the results")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cells or groups, as patterns")
    parser.add_argument("--most", type=int, help="make at most so many cells")
    parser.add_argument("--limit", type=int, help="images a cell has at most; for trials")
    parser.add_argument("--epochs", type=int, help="passes of every cell; for trials")
    parser.add_argument("--unseen", type=int, default=500, help="test digits searched for")
    parser.add_argument("--adopt", metavar="CELL=RUN", help="measure a finished run folder")
    parser.add_argument("--list", action="store_true", help="print the cells and stop")
    parser.add_argument("--report", action="store_true", help="write the report alone")
    choice = parser.parse_args()
    cells = find_cells(choice.only)
    if not cells:
        parser.error(f"no cell is called {' or '.join(choice.only)}; --list prints them all")
    if choice.list:
        print("\n".join(f"{cell.name:28s} {cell.group:12s} {cell.about}" for cell in cells))
        return
    with one_thread():
        if not choice.report:
            problem = mnist_problem(limit=choice.limit, epochs=choice.epochs, unseen=choice.unseen)
            adopted = dict([choice.adopt.split("=", 1)]) if choice.adopt else {}
            run_study(choice.out, problem, cells, most=choice.most, adopted=adopted)
        if (choice.out / "baselines.json").is_file():
            write_report(choice.out)


def run_study(
    folder: Path,
    problem: Problem,
    cells: list[Cell],
    *,
    most: int | None = None,
    adopted: dict[str, str] | None = None,
) -> int:
    """Compute missing cells in order, and return their number.

    Args:
        folder: of the results.
        problem: the digits.
        cells: which cells.
        most: stop after so many.
        adopted: cells to run folders that are measured instead.
    """
    about: dict[str, Any] = {
        "train": problem.train.fingerprint,
        "unseen": problem.unseen,
        "limit": problem.limit,
        "epochs": problem.epochs,
    }
    begin_study(folder, about)
    made = 0
    for cell in cells:
        if most is not None and made >= most:
            break
        with claimed(folder / "models" / f"{cell.name}.lock") as ours:
            path = folder / "cells" / f"{cell.name}.json"
            if not ours or path.is_file():
                continue
            run = (adopted or {}).get(cell.name)
            if run:
                work = lambda c=cell, r=run: adopt_cell(c, problem, Path(r))  # noqa: E731
            else:
                work = lambda c=cell: make_cell(c, problem, folder)  # noqa: E731
            _make_baselines(folder, problem)
            made += _make(path, cell, work)
    return made


def _make(path: Path, cell: Cell, work: Callable[[], tuple[dict[str, Any], Any]]) -> bool:
    print(f"{time.strftime('%H:%M:%S')} {cell.name}: {cell.about}", flush=True)
    try:
        result, picture = work()
    # One cell that fails must not cost the others.
    except Exception:
        traceback.print_exc()
        return False
    save_picture(picture, path.parent.parent / "pictures" / f"{cell.name}.png")
    write_json(path, result | this_machine())
    if result["train"] is None:
        print(f"  {result['stopped']}", flush=True)
    else:
        print(
            f"  train {result['train']:.4f}, unseen {result['unseen']:.4f}, "
            f"mean image {result['mean_image']:.4f}, {result['seconds']}, "
            f"search {result['search']}",
            flush=True,
        )
    return True


def _make_baselines(folder: Path, problem: Problem) -> None:
    path = folder / "baselines.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    wanted = (N, FULL, len(problem.train))
    missing = tuple(n for n in wanted if str(n) not in known)
    if missing:
        write_json(path, known | baselines(problem, missing))
        shown = [problem.train.batch(torch.arange(SHOWN)), problem.unseen_images[:SHOWN]]
        save_picture(grid(torch.cat(shown), columns=SHOWN, frame=False), folder / "digits.png")
