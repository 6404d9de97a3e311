"""Section of training curves: loss, explained variance, code movement, and final errors."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from glo.report.blocks import Plot, Section
from glo.report.context import ReportContext
from glo.report.svg import INK, SERIES, axes_style, log_scale, new_axes, to_plot
from glo.training.diagnosis import Baselines, explained_variance

__all__ = ["curves_section"]

_FIRST, _SECOND, _THIRD, _ = SERIES
_STEP_FIELDS = ("step", "loss")
_EPOCH_FIELDS = (
    *_STEP_FIELDS, "epoch", "explained_variance", "code_travel", "code_step", "code_norm",
)  # fmt: skip
_DASHED = (0, (2, 2))

_Records = list[dict[str, Any]]


def curves_section(context: ReportContext) -> Section:
    """Draw the curves of metrics.jsonl and a histogram of the errors of the rows."""
    steps = _complete(context.records, "step", _STEP_FIELDS)
    epochs = _complete(context.records, "epoch", _EPOCH_FIELDS)
    plots: list[Plot] = []
    with axes_style():
        if steps or epochs:
            plots.append(_loss(steps, epochs))
        if epochs:
            plots.append(_explained(epochs, context))
        if checks := _complete(epochs, "epoch", ("mse", "validation_mse")):
            plots.append(_validation(checks))
        if epochs:
            plots.append(_travel(epochs))
        if len(context.errors) > 1 and float(context.errors.max()) > 0:
            plots.append(_errors(context))
    return Section(
        text=() if epochs else ("No epoch is over yet, so there is little to draw.",),
        items=tuple(plots),
        columns=2,
    )


def _loss(steps: _Records, epochs: _Records) -> Plot:
    axes, legend = new_axes(), []
    for records, colour, width, text in (
        (steps, _SECOND, 0.9, "one step in 50"),
        (epochs, _FIRST, 1.8, "mean of an epoch"),
    ):
        if records:
            _line(axes, records, "step", "loss", color=colour, linewidth=width)
            legend.append((colour, text))
    if all(record["loss"] > 0 for record in (*steps, *epochs)):
        log_scale(axes, "y")
    axes.set(xlabel="step", ylabel="loss")
    last = (epochs or steps)[-1]["loss"]
    alt = f"The loss over the steps of the run; the last value is {last:.4g}."
    return to_plot(axes, "loss", alt=alt, caption="Loss, before each update", legend=legend)


def _explained(epochs: _Records, context: ReportContext) -> Plot:
    axes = new_axes()
    percent = _line(axes, epochs, "epoch", "explained_variance", scale=100, color=_FIRST)
    axes.axhline(0, color=INK, linewidth=1.2, linestyle=_DASHED)
    legend = [(_FIRST, "this run")]
    alt = f"The share of the variance that is explained; after the last epoch {percent[-1]:.1f} %."
    if context.summary:
        baselines = Baselines(**context.summary["baselines"])
        pca = 100 * explained_variance(baselines.pca, baselines)
        axes.axhline(pca, color=_THIRD, linewidth=1.4, linestyle=(0, (5, 2)))
        legend.append((_THIRD, "PCA of the same size"))
        alt += f" PCA of the same size explains {pca:.1f} %."
    legend.append((INK, f"mean {context.noun}: 0 %"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # Bounded below: a run that diverged would flatten the rest of the curve.
    bottom = max(-50, min(-3, *percent))
    axes.set(xlabel="epoch", ylabel="explained, %", ylim=(bottom, 103))
    caption = "Variance of the data that the reconstructions explain"
    return to_plot(axes, "explained", alt=alt, caption=caption, legend=legend)


def _validation(checks: _Records) -> Plot:
    axes, legend = new_axes(), []
    for name, colour, text in (
        ("validation_mse", _FIRST, "held-out examples"),
        ("mse", _SECOND, "training examples"),
    ):
        _line(axes, checks, "epoch", name, color=colour)
        legend.append((colour, text))
    best = min(checks, key=lambda record: float(record["validation_mse"]))
    axes.axvline(best["epoch"], color=INK, linewidth=1.2, linestyle=_DASHED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    error, last = best["validation_mse"], checks[-1]
    # Bounded above: the first checks would flatten the rest.
    top = 1.1 * max(2 * error, last["validation_mse"])
    axes.set(xlabel="epoch", ylabel="squared error", ylim=(0, top or None))
    alt = (
        f"The squared error of held-out and training examples; the lowest of held-out examples is "
        f"{error:.4g} after epoch {best['epoch']}, the last is {last['validation_mse']:.4g}."
    )
    caption = f"Held-out error, lowest after epoch {best['epoch']} (dashed): {error:.4f}"
    return to_plot(axes, "validation", alt=alt, caption=caption, legend=legend)


def _travel(epochs: _Records) -> Plot:
    axes, legend = new_axes(), []
    for name, colour, text in (
        ("code_travel", _FIRST, "from the initial code"),
        ("code_step", _SECOND, "in the last epoch"),
    ):
        _line(axes, epochs, "epoch", name, color=colour)
        legend.append((colour, text))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="mean distance", ylim=(0, None))
    last = epochs[-1]
    alt = f"The mean distance of a code; at the end {last['code_travel']:.3g} from its start."
    caption = f"Movement of the codes; mean norm of a code: {last['code_norm']:.2f}"
    return to_plot(axes, "travel", alt=alt, caption=caption, legend=legend)


def _errors(context: ReportContext) -> Plot:
    axes, errors, n = new_axes(), context.errors.double().numpy(), context.run.data.n
    positive = errors[errors > 0]
    edges = np.geomspace(positive.min(), positive.max() * 1.0001, 41)
    axes.hist(positive, bins=edges.tolist(), color=_FIRST)
    median = float(np.median(errors))
    axes.axvline(median, color=INK, linewidth=1.2, linestyle=_DASHED)
    log_scale(axes, "x")
    axes.set(xlabel="squared error of an example", ylabel="examples")
    axes.grid(visible=False, axis="x")
    alt = f"A histogram of the errors of {len(errors):,} examples; half are below {median:.4g}."
    count = "all" if len(errors) == n else f"{len(errors):,} of {n:,}"
    caption = f"Errors of {count} training examples; median {median:.4f} (dashed)"
    return to_plot(axes, "errors", alt=alt, caption=caption)


def _complete(records: _Records, kind: str, names: Sequence[str]) -> _Records:
    """Return the records of a kind that have these finite numbers: a file may be edited."""
    return [
        record
        for record in records
        if record.get("kind") == kind and all(_is_finite(record.get(name)) for name in names)
    ]


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _line(
    axes: Axes, records: _Records, x: str, y: str, *, scale: float = 1, **style: Any
) -> list[float]:
    """Draw field y over field x and return the values of y; one point is drawn as a dot."""
    values = [scale * float(record[y]) for record in records]
    marker = "o" if len(values) == 1 else ""
    axes.plot([float(record[x]) for record in records], values, marker=marker, **style)
    return values
