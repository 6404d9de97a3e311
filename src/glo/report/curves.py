"""How a run went: loss, explained variance, the way of the codes, and the errors at its end."""

import math
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from glo.report.blocks import Key, Plot, Section
from glo.report.context import ReportContext
from glo.report.svg import INK, SERIES, axes_style, new_axes, page_colour, plain_log, to_svg
from glo.training.diagnosis import Baselines, explained_variance

__all__ = ["curves"]

_FIRST, _SECOND, _THIRD, _ = SERIES
# The numbers of a record that are drawn.
_OF_STEPS = ("step", "loss")
_OF_EPOCHS = (*_OF_STEPS, "epoch", "explained_variance", "code_travel", "code_step", "code_norm")


def curves(material: ReportContext) -> Section:
    """Draw what metrics.jsonl tells, and the errors of the rows."""
    steps = _having(material.records, "step", _OF_STEPS)
    epochs = _having(material.records, "epoch", _OF_EPOCHS)
    plots: list[Plot] = []
    with axes_style():
        if steps or epochs:
            plots.append(_loss(steps, epochs))
        if epochs:
            plots += [_explained(epochs, material.summary), _travel(epochs)]
        if len(material.errors) > 1 and float(material.errors.max()) > 0:
            plots.append(_errors(material))
    text = "" if epochs else "No epoch is over yet, so there is little to draw."
    return Section(
        anchor="training",
        title="Training",
        text=(text,) if text else (),
        items=tuple(plots),
        columns=2,
    )


def _loss(steps: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> Plot:
    axes, keys = new_axes(), []
    for records, colour, width, text in (
        (steps, _SECOND, 0.9, "one step in 50"),
        (epochs, _FIRST, 1.8, "mean of an epoch"),
    ):
        if records:
            x, y = _column(records, "step"), _column(records, "loss")
            axes.plot(x, y, color=colour, linewidth=width, marker=_marker(x))
            keys.append(Key(colour=page_colour(colour), text=text))
    if all(record["loss"] > 0 for record in (*steps, *epochs)):
        plain_log(axes, "y")
    axes.set(xlabel="step", ylabel="loss")
    last = (epochs or steps)[-1]["loss"]
    alt = f"The loss over the steps of the run; the last value is {last:.4g}."
    return Plot(svg=to_svg(axes, "loss", alt), caption="Loss, before each update", keys=tuple(keys))


def _explained(epochs: list[dict[str, Any]], summary: dict[str, Any]) -> Plot:
    axes = new_axes()
    x, y = _column(epochs, "epoch"), 100 * _column(epochs, "explained_variance")
    axes.plot(x, y, color=_FIRST, marker=_marker(x))
    axes.axhline(0, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
    keys = [Key(colour=page_colour(_FIRST), text="this run")]
    alt = f"The share of the variance that is explained; after the last epoch {y[-1]:.1f} %."
    if summary:
        base = Baselines(**summary["baselines"])
        pca = 100 * explained_variance(base.pca, base)
        axes.axhline(pca, color=_THIRD, linewidth=1.4, linestyle=(0, (5, 2)))
        keys.append(Key(colour=page_colour(_THIRD), text="PCA of the same size"))
        alt += f" PCA of the same size explains {pca:.1f} %."
    keys.append(Key(colour=page_colour(INK), text="mean image: 0 %"))
    # A run that diverged would leave nothing to see of the rest.
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="explained, %", ylim=(max(-50, min(-3, y.min())), 103))
    return Plot(
        svg=to_svg(axes, "explained", alt),
        caption="Variance of the data that the reconstructions explain",
        keys=tuple(keys),
    )


def _travel(epochs: list[dict[str, Any]]) -> Plot:
    axes, keys = new_axes(), []
    x = _column(epochs, "epoch")
    for name, colour, text in (
        ("code_travel", _FIRST, "from where it began"),
        ("code_step", _SECOND, "since the epoch before"),
    ):
        axes.plot(x, _column(epochs, name), color=colour, marker=_marker(x))
        keys.append(Key(colour=page_colour(colour), text=text))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="mean distance", ylim=(0, None))
    alt = f"The mean way of a code; it ends {epochs[-1]['code_travel']:.3g} from where it began."
    caption = f"How far a code has moved; mean length of a code: {epochs[-1]['code_norm']:.2f}"
    return Plot(svg=to_svg(axes, "travel", alt), caption=caption, keys=tuple(keys))


def _errors(material: ReportContext) -> Plot:
    axes, errors = new_axes(), material.errors.double().numpy()
    positive = errors[errors > 0]
    edges = np.geomspace(positive.min(), positive.max() * 1.0001, 41)
    axes.hist(positive, bins=edges.tolist(), color=_FIRST)
    median = float(np.median(errors))
    axes.axvline(median, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
    plain_log(axes, "x")
    axes.set(xlabel="squared error of an example", ylabel="examples")
    axes.grid(visible=False, axis="x")
    alt = f"A histogram of the errors of {len(errors):,} examples; half are below {median:.4g}."
    whole = len(errors) == material.run.data.n
    which = "all" if whole else f"{len(errors):,} of {material.run.data.n:,}"
    return Plot(
        svg=to_svg(axes, "errors", alt),
        caption=f"Errors of {which} training examples; median {median:.4f} (dashed)",
    )


def _having(
    records: list[dict[str, Any]], kind: str, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the records of a kind that have all these numbers: a file may have been edited."""
    return [
        record
        for record in records
        if record.get("kind") == kind and all(_is_finite(record.get(name)) for name in names)
    ]


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _column(records: list[dict[str, Any]], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([record[name] for record in records], dtype=np.float64)


def _marker(x: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    # A line of one point is not seen.
    return "o" if len(x) == 1 else ""
