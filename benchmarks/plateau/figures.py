"""Figures for light and dark pages: transparent background, mid-tone lines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from benchmarks.plateau.cell import FULL, N
from benchmarks.plateau.cells import CODE_TIMES, CURVE, DECODER_TIMES
from benchmarks.plateau.montage import INK, draw_digits
from benchmarks.plateau.results import Result, Results
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from glo.utils.files import atomic_write

__all__ = ["BLUE", "GREEN", "ORANGE", "RED", "STYLE", "save_figure", "write_figures"]

BLUE, ORANGE, GREEN, RED = "#4c8dd6", "#e08a2e", "#3fa66b", "#d6604d"
STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "glo",
}
_TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4]


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Draw every figure with computed cells.

    Args:
        results: of the study.
        folder: for the pictures.

    Returns:
        the files that were written.
    """
    makers: dict[str, Callable[[Results], Figure | Image.Image | None]] = {
        "plateau-epochs": _epochs,
        "plateau-grid": _grid,
        "plateau-changes": _changes,
        "plateau-curve": _curve,
        "plateau-digits": draw_digits,
    }
    written = []
    for name, maker in makers.items():
        with mpl.rc_context(STYLE):
            drawn = maker(results)
            if drawn is not None:
                written.append(save_figure(drawn, folder / f"{name}.png"))
    return written


def save_figure(drawn: Figure | Image.Image, path: Path) -> Path:
    """Write a PNG file atomically, and return its path."""
    with atomic_write(path) as writing:
        if isinstance(drawn, Figure):
            FigureCanvasAgg(drawn)
            # No date and no version inside, so that the same results give the same file.
            drawn.savefig(writing, dpi=110, transparent=True, metadata={"Software": None})
        else:
            drawn.save(writing, format="PNG")
    return path


def _levels(axes: Any, results: Results, n: int, *, upright: bool) -> None:
    """Draw the baselines as dotted lines."""
    known = results.baselines.get(str(n)) or next(iter(results.baselines.values()))
    lines = {"mean image": known["mean_image"]["train"], "class mean": known["class_mean"]["train"]}
    if "32" in known["pca"]:
        lines["PCA, 32"] = known["pca"]["32"]["train"]
    # The two means lie near each other, so their names go to either side.
    sides = {"mean image": "left", "class mean": "right", "PCA, 32": "right"}
    for text, value in lines.items():
        if upright:
            axes.axvline(value, color=INK, linestyle=":", linewidth=1)
            place = {"x": value, "y": 1.0, "va": "bottom", "ha": sides[text]}
            axes.text(s=text, transform=axes.get_xaxis_transform(), fontsize=7, **place)
        else:
            axes.axhline(value, color=INK, linestyle=":", linewidth=1)
            place = {"x": 1.0, "y": value, "va": "center", "ha": "left"}
            axes.text(s=f" {text}", transform=axes.get_yaxis_transform(), fontsize=8, **place)


def _error_axis(axis: Any, lowest: float, highest: float = 0.7) -> None:
    ticks = [tick for tick in _TICKS if lowest <= tick <= highest]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def _epochs(results: Results) -> Figure | None:
    """Draw the error by epoch of the runs at their full size and width."""
    wanted = {
        "replay": ("their settings", RED),
        "full-pca-d100-c1": ("PCA codes, generator x 100", GREEN),
        "full-d100-c5120": ("generator x 100, codes x 5,120", BLUE),
        "full-word": ("sums over pixels: both x 1,024", ORANGE),
    }
    found = {name: cell for name in wanted if (cell := results.get(name)) is not None}
    if not found:
        return None
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for name, cell in found.items():
        text, colour = wanted[name]
        errors = [epoch["mse"] for epoch in cell.data["epochs"]]
        axes.plot(range(1, len(errors) + 1), errors, color=colour, label=text)
    axes.set(xlabel="epoch", ylabel="training error", yscale="log")
    _levels(axes, results, FULL, upright=False)
    _error_axis(axes.yaxis, axes.get_ylim()[0])
    axes.grid(axis="y")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _grid(results: Results) -> Figure | None:
    """Draw training and unseen error over both rates, for random and for PCA codes."""
    if not results.of("grid"):
        return None
    figure = Figure(figsize=(7.4, 5.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    for column, (start, text) in enumerate(
        {"gaussian": "random codes", "pca": "PCA codes"}.items()
    ):
        for row, kind in enumerate(("train", "unseen")):
            values = _table(results, start, kind)
            title = f"{text}, {'training' if kind == 'train' else 'unseen'} error"
            _heat(axes[row, column], values, title)
    for panel in axes[1]:
        panel.set_xlabel("generator's rate, times theirs (0.001)")
    for panel in axes[:, 0]:
        panel.set_ylabel("codes' rate, times theirs")
    return figure


def _table(results: Results, start: str, kind: str) -> np.ndarray:
    values = np.full((len(CODE_TIMES), len(DECODER_TIMES)), np.nan)
    for row, code in enumerate(CODE_TIMES):
        for column, decoder in enumerate(DECODER_TIMES):
            cell = results.get(f"{start}-d{decoder}-c{code}")
            if cell is not None:
                values[row, column] = getattr(cell, kind)
    return values


def _heat(axes: Any, values: np.ndarray, title: str) -> None:
    low, high = np.log(0.02), np.log(0.4)
    shade = np.clip((np.log(values) - low) / (high - low), 0, 1)
    axes.imshow(shade, cmap="viridis_r", vmin=0, vmax=1, aspect="auto", origin="lower")
    for row, column in np.argwhere(~np.isnan(values)):
        value = values[row, column]
        ink = "white" if shade[row, column] > 0.5 else "black"
        text = f"{value:.3f}" if np.isfinite(value) else "diverged"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    axes.set_title(title, fontsize=10)
    axes.set_xticks(range(len(DECODER_TIMES)), [f"{times:,}" for times in DECODER_TIMES])
    axes.set_yticks(range(len(CODE_TIMES)), [f"{times:,}" for times in CODE_TIMES])
    axes.spines[:].set_visible(False)


def _changes(results: Results) -> Figure | None:
    """Draw each single change of the original and of our settings."""
    ends = {"theirs": _ends(results, "theirs"), "ours": _ends(results, "ours")}
    if not all(ends.values()):
        return None
    high = max(map(len, ends.values()))
    figure = Figure(figsize=(7.4, 2 * (1.2 + 0.23 * high)), layout="constrained")
    for axes, (base, cells) in zip(figure.subplots(2, 1), ends.items(), strict=True):
        for place, cell in enumerate(reversed(cells)):
            if np.isfinite(cell.train):
                axes.plot([cell.train, cell.unseen], [place] * 2, color=INK, linewidth=1, zorder=1)
            axes.scatter(cell.train, place, color=BLUE, s=26, zorder=2)
            axes.scatter(cell.unseen, place, color=ORANGE, s=26, marker="D", zorder=2)
        axes.set_xscale("log")
        _error_axis(axes.xaxis, axes.get_xlim()[0])
        axes.set_yticks(range(len(cells)), [cell.data["about"] for cell in reversed(cells)])
        axes.tick_params(labelsize=8)
        _levels(axes, results, N, upright=True)
        axes.set_title(f"one change to {base}\n", fontsize=10)
        axes.set_xlabel("error: circle training, diamond unseen")
        axes.grid(axis="y")
    return figure


def _ends(results: Results, base: str) -> list[Result]:
    singles = results.of(f"from {base}")
    if base == "theirs":
        extra = ("gaussian-d1-c1", "pca-d1-c1", "gaussian-d100-c1", "gaussian-d1024-c1")
        extra += ("gaussian-d1-c5120", "gaussian-d1-c524288")
        singles = [cell for name in extra if (cell := results.get(name)) is not None] + singles
    return singles


def _curve(results: Results) -> Figure | None:
    """Draw the error of fixed and of trained random codes by the number of images."""
    kinds = {"frozen": ("gaussian-d100-c1", RED), "learning": ("gaussian-d100-c5120", GREEN)}
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for kind, (same, colour) in kinds.items():
        names = [same if n == N else f"curve-{kind}-{n}" for n in CURVE]
        cells = [cell for name in names if (cell := results.get(name)) is not None]
        if not cells:
            return None
        sizes = [cell.data["n"] for cell in cells]
        text = "fixed random codes" if kind == "frozen" else "learning random codes"
        axes.plot(sizes, [c.train for c in cells], "o-", color=colour, label=f"{text}, training")
        axes.plot(sizes, [c.unseen for c in cells], "D--", color=colour, label=f"{text}, unseen")
    axes.set(xscale="log", yscale="log", xlabel="images", ylabel="error after 25 epochs")
    axes.xaxis.set_ticks(CURVE, [f"{n:,}" for n in CURVE])
    axes.xaxis.set_ticks([], minor=True)
    _levels(axes, results, FULL, upright=False)
    _error_axis(axes.yaxis, axes.get_ylim()[0])
    axes.grid(axis="y")
    # Above the axes: there are lines everywhere inside.
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure
