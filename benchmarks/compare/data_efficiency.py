"""Held-out error and distance of samples by the number of training images, at equal CPU seconds.

    python -m benchmarks.compare.data_efficiency --seconds 120 --out results/compare
    python -m benchmarks.compare.data_efficiency --sizes 100 60000 --seeds 0 1 --out results/compare
    python -m benchmarks.compare.data_efficiency --report --out results/compare

Rows are those of `benchmarks.compare`, in the same folder, of the first N images. With all images
they are the rows of the table of the same budget. The sampler is the package's default for that
many codes: flow matching, or for fewer than 5,000 a mixture whose number of components is chosen by
held-out likelihood. Out come a figure and a table for each data set and budget.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from benchmarks.compare.budget import one_thread
from benchmarks.compare.methods import METHODS
from benchmarks.compare.problem import Problem
from benchmarks.compare.report import FLOOR, Part, read_parts
from benchmarks.compare.study import RESULTS, make_rows
from benchmarks.plateau.figures import BLUE, GREEN, ORANGE, STYLE, save_figure
from benchmarks.plateau.montage import INK
from benchmarks.rows import markdown, spread
from matplotlib.figure import Figure

from glo.config.settings import Settings
from glo.training.factory import prior_name
from glo.utils.files import write_text

__all__ = ["main"]

_SIZES = (100, 300, 1000, 3000, 10_000, 60_000)
_COLOURS = {"glo": BLUE, "ae-ours": ORANGE, "pca": GREEN}
_WAYS = {"search": "-", "encoder": "--"}


def main() -> None:
    """Compute missing rows, then draw the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of IDX files")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU seconds a method has")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="training images")
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--n-heldout", type=int, default=1000)
    parser.add_argument("--report", action="store_true", help="draw the figures alone")
    choice = parser.parse_args()
    with one_thread():
        for seed in () if choice.report else choice.seeds:
            for n in choice.sizes:
                problem = Problem(
                    data=choice.data,
                    root=choice.out,
                    seconds=choice.seconds,
                    seed=seed,
                    n=n,
                    n_samples=choice.n_samples,
                    n_heldout=choice.n_heldout,
                )
                _make(problem)
    for path in _write_figures(choice.out):
        print(path)


def _make(problem: Problem) -> None:
    sampler = prior_name(Settings(), len(problem.train))
    # All samplers of the tables where they are used, so that the models are the same.
    planned = {name: METHODS[name].samplers for name in _COLOURS}
    if not all(sampler in names for names in planned.values()):
        planned = dict.fromkeys(_COLOURS, (sampler,))
    make_rows(problem, planned, only=[sampler])


def _write_figures(root: Path) -> Iterator[Path]:
    for data in sorted(path for path in root.iterdir() if path.is_dir()):
        parts = read_parts(data)
        for seconds in sorted({part.study["seconds"] for part in parts}):
            own = [part for part in parts if part.study["seconds"] == seconds]
            if len({part.study["n"] for part in own}) < 2:
                continue
            write_text(data / f"data-efficiency-{seconds:g}.md", _table(own))
            with mpl.rc_context(STYLE):
                yield save_figure(_figure(own), data / f"data-efficiency-{seconds:g}.png")


def _values(parts: list[Part], model: str, key: str) -> dict[int, list[float]]:
    """Return a number of a model or of its sampler by the number of images, for every seed."""
    found: dict[int, list[float]] = {}
    for part in parts:
        sampler = f"{model} {prior_name(Settings(), part.study['n'])}"
        rows = [part.rows[name] for name in (model, sampler) if name in part.rows]
        values = [row[key] for row in rows if key in row]
        if values:
            found.setdefault(part.study["n"], []).extend(values)
    return found


def _figure(parts: list[Part]) -> Figure:
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    errors, distances = figure.subplots(1, 2)
    for model, colour in _COLOURS.items():
        for way, dashes in _WAYS.items():
            label = f"{METHODS[model].about}, {way}"
            _plot(errors, _values(parts, model, f"{way}_mse"), label, color=colour, ls=dashes)
        _plot(distances, _values(parts, model, "fd"), METHODS[model].about, color=colour)
    errors.set(ylabel="held-out error", xlabel="training images")
    distances.set(ylabel="Fréchet distance of samples", xlabel="training images")
    floors = [part.rows[FLOOR]["fd"] for part in parts if FLOOR in part.rows]
    if floors:
        # Of the most images: few of them are a poor sample of themselves.
        distances.axhline(floors[-1], color=INK, linestyle=":", label=FLOOR)
    for axes in (errors, distances):
        axes.set(xscale="log", yscale="log")
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=8)
    return figure


def _plot(axes: Any, values: dict[int, list[float]], label: str, **style: Any) -> None:
    """Draw means by number of images, with lines from the lowest to the highest seed."""
    if not values:
        return
    sizes = sorted(values)
    axes.plot(sizes, [np.mean(values[n]) for n in sizes], marker="o", label=label, **style)
    lows, highs = ([end(values[n]) for n in sizes] for end in (min, max))
    axes.vlines(sizes, lows, highs, color=style["color"])


def _table(parts: list[Part]) -> str:
    study = parts[0].study
    keys = {
        "training error": ("train_mse", 4),
        "held-out error, encoder": ("encoder_mse", 4),
        "held-out error, search": ("search_mse", 4),
        "FD of samples": ("fd", 2),
        "recall": ("recall", 3),
    }
    lines, missing = [], []
    for n in sorted({part.study["n"] for part in parts}):
        for model in _COLOURS:
            found = {head: _values(parts, model, key).get(n) for head, (key, _) in keys.items()}
            if not found["FD of samples"]:
                missing.append(f"{METHODS[model].about} with {n:,}")
                continue
            digits = [number for _, number in keys.values()]
            cells = [spread(v, d) if v else "" for v, d in zip(found.values(), digits, strict=True)]
            lines.append([f"{n:,}", METHODS[model].about, *cells])
    text = (
        f"{study['data']}, {study['seconds']:g} CPU seconds for each method on one thread, sampler "
        f"included. Samples by the package's default for that many codes. {study['machine']}, "
        f"torch {study['torch']}.\n\n" + markdown(["images", "method", *keys], lines)
    )
    return text + (f"\nNot made: {', '.join(missing)}.\n" if missing else "")


if __name__ == "__main__":
    main()
