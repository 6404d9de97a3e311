"""Sections of runs on vectors: errors of the columns, reconstructions, and samples."""

import torch
from torch import Tensor

from glo.losses import MSELoss
from glo.report.blocks import Plot, Section
from glo.report.context import ReportContext
from glo.report.svg import INK, SERIES, axes_style, new_axes, to_plot
from glo.utils.random import permutation

__all__ = ["columns_section", "lines_section", "spread_section"]

_COLOUR = SERIES[0]
_MAX_ROWS = 2000
_SAMPLES = 500
# More columns are drawn as one line, not as one dot each.
_MAX_DOTS = 60
_UNIT = "standard deviations"
_QUANTILES = (
    (0.0, "The best"), (0.5, "The middle"), (0.95, "95 % are better"), (1.0, "The worst"),
)  # fmt: skip


def columns_section(context: ReportContext) -> Section | None:
    """Draw the error of every column; None without the data."""
    if context.dataset is None:
        return None
    rows = permutation(context.run.data.n, 0, 0)[:_MAX_ROWS].sort().values
    target, observed = context.dataset.batch(rows), context.dataset.observed(rows)
    # Transposed, so that the loss leaves missing values out of the mean of a column.
    output = context.decode(context.run.codes[rows])
    errors = MSELoss()(output.T, target.T, None if observed is None else observed.T)
    worst = errors.topk(min(5, len(errors))).indices.tolist()
    with axes_style():
        axes = new_axes(2.0, 1.0)
        # One shape, however many columns there are.
        edges = [column - 0.5 for column in range(len(errors) + 1)]
        axes.stairs(errors.tolist(), edges, fill=True, color=_COLOUR)
        axes.axhline(1, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="column", ylabel="squared error", xlim=(edges[0], edges[-1]))
        plot = to_plot(
            axes,
            "columns",
            alt=f"Bars of the errors of {len(errors)} columns; column {worst[0]} has the largest.",
            caption=f"Measured on {len(rows):,} training examples",
        )
    largest = ", ".join(f"{column} ({float(errors[column]):.3g})" for column in worst)
    text = (
        f"Mean squared error of each column, counted from 0, in squared {_UNIT} of the column: 1 "
        f"(dashed) is the error of its mean. The largest: {largest}."
    )
    return Section(text=(text,), items=(plot,))


def lines_section(context: ReportContext) -> Section:
    """Draw examples and their reconstructions as lines, from the smallest to the largest error."""
    n = len(context.rows)
    places = {min(int(share * n), n - 1): name for share, name in _QUANTILES} if n else {0: "Row 0"}
    plots = []
    with axes_style():
        for place, name in places.items():
            row = int(context.rows[place]) if n else 0
            error = f", error {float(context.errors[place]):.4f}" if n else ""
            caption = f"{name if n != 1 else 'The only example'}{error}"
            if n:
                caption += f", {context.run.row_ids.describe([row])}"
            plots.append(_line(context, row, f"line-{place}", caption))
    text = context.missing_data if context.dataset is None else f"Values in {_UNIT} of each column."
    return Section(text=(text,), items=tuple(plots), columns=2)


def _line(context: ReportContext, row: int, name: str, caption: str) -> Plot:
    axes, legend = new_axes(), []
    rows = torch.tensor([row])
    reconstruction = context.decode(context.run.codes[rows])[0].tolist()
    marker = "o" if len(reconstruction) <= _MAX_DOTS else ""
    if context.dataset is not None:
        values = _with_nan(context, rows)[0].tolist()
        axes.plot(values, color=INK, linewidth=1.2, marker=marker, markersize=3)
        legend.append((INK, "example"))
    axes.plot(reconstruction, color=_COLOUR, marker=marker, markersize=3)
    legend.append((_COLOUR, "reconstruction"))
    axes.set(xlabel="column", ylabel="value")
    alt = f"Training example {row} and its reconstruction, a value for each column."
    return to_plot(axes, name, alt=alt, caption=caption, legend=legend)


def spread_section(context: ReportContext) -> Section | None:
    """Draw the quantiles of every column of samples of each prior beside those of the data."""
    if not context.priors and not context.missing_priors:
        return None
    rows = permutation(context.run.data.n, 0, 0)[:_MAX_ROWS].sort().values
    real = _quantiles(_with_nan(context, rows))
    plots = []
    with axes_style():
        for prior in context.priors:
            codes = prior.sample(_SAMPLES, seed=context.run.settings.seed)
            plots.append(_bands(real, _quantiles(context.decode(codes)), prior.name))
    kind = "training examples" if context.dataset is not None else "reconstructions"
    text = (
        f"The median and the range of nine in ten values of every column: of {kind} "
        f"and of {_SAMPLES} samples of each prior, in {_UNIT}."
    )
    return Section(text=(text, *context.missing_priors), items=tuple(plots), columns=2)


def _with_nan(context: ReportContext, rows: Tensor) -> Tensor:
    """Return examples with NaN for missing values, or reconstructions without the data."""
    values = context.examples(rows)
    observed = None if context.dataset is None else context.dataset.observed(rows)
    return values if observed is None else values.masked_fill(observed == 0, float("nan"))


def _quantiles(values: Tensor) -> Tensor:
    return values.nanquantile(torch.tensor([0.05, 0.5, 0.95]), dim=0)


def _bands(real: Tensor, samples: Tensor, name: str) -> Plot:
    axes = new_axes()
    for values, colour, shift in ((real, INK, -0.18), (samples, _COLOUR, 0.18)):
        low, middle, high = values.tolist()
        places = [column + shift for column in range(len(low))]
        if len(low) <= _MAX_DOTS:
            axes.vlines(places, low, high, color=colour, linewidth=1.6)
            axes.plot(places, middle, color=colour, linestyle="", marker="o", markersize=4)
        else:
            axes.fill_between(places, low, high, color=colour, alpha=0.25, linewidth=0)
            axes.plot(places, middle, color=colour, linewidth=1.2)
    axes.set(xlabel="column", ylabel="value")
    alt = f"Ranges and medians of each column, of the data and of samples of the {name} prior."
    legend = ((INK, "data"), (_COLOUR, "samples"))
    return to_plot(axes, f"spread-{name}", alt=alt, caption=name, legend=legend)
