"""Vectors: the error of each column, reconstructions as lines, and samples beside the data."""

import torch
from torch import Tensor

from glo.losses import MSELoss
from glo.report.blocks import Key, Plot, Section
from glo.report.context import ReportContext
from glo.report.svg import INK, SERIES, axes_style, new_axes, page_colour, to_svg
from glo.utils.random import permutation

__all__ = ["columns", "lines", "spread"]

_FIRST, _SECOND, *_ = SERIES
_ROWS = 2000
_WORST = 12
_SAMPLES = 500
# More columns than these are drawn as one line, not as a dot each.
_FEW = 60
_UNIT = "standard deviations"
_PLACES = ((0.0, "The best"), (0.5, "The middle"), (0.95, "95 % are better"), (1.0, "The worst"))


def columns(material: ReportContext) -> Section | None:
    """Draw the error of every column, or nothing without the data."""
    if material.samples is None:
        return None
    rows = permutation(material.run.data.n, 0, 0)[:_ROWS].sort().values
    errors = _column_errors(material, rows)
    worst = errors.topk(min(_WORST, len(errors))).indices.tolist()
    alt = f"Bars of the errors of {len(errors)} columns; that of column {worst[0]} is the largest."
    with axes_style():
        axes = new_axes(2.0, 1.0)
        # One shape, however many columns there are.
        edges = [place - 0.5 for place in range(len(errors) + 1)]
        axes.stairs(errors.tolist(), edges, fill=True, color=_FIRST)
        axes.axhline(1, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="column", ylabel="squared error", xlim=(edges[0], edges[-1]))
        plot = to_svg(axes, "columns", alt)
    named = ", ".join(f"{place} ({float(errors[place]):.3g})" for place in worst[:5])
    text = (
        f"Mean squared error of each column, counted from 0, in {_UNIT} of the column: 1 (dashed) "
        f"is that of its mean. The largest: {named}."
    )
    return Section(
        anchor="columns",
        title="Errors of the columns",
        text=(text,),
        items=(Plot(svg=plot, caption=f"Measured on {len(rows):,} training examples"),),
    )


def _column_errors(material: ReportContext, rows: Tensor) -> Tensor:
    assert material.samples is not None, "asked only with data"
    target, observed = material.samples.batch(rows), material.samples.observed(rows)
    # Each column as one example, so that what is missing is left out of its mean.
    output = material.decoded(material.run.codes[rows])
    return MSELoss()(output.T, target.T, None if observed is None else observed.T)


def lines(material: ReportContext) -> Section:
    """Draw examples and their reconstructions as lines, from the best to the worst."""
    n = len(material.rows)
    places = {min(int(share * n), n - 1): name for share, name in _PLACES} if n else {0: "Row 0"}
    plots = []
    with axes_style():
        for place, name in places.items():
            row = int(material.rows[place]) if n else 0
            error = f", error {float(material.errors[place]):.4f}" if n else ""
            caption = f"{name if n != 1 else 'The only example'}{error}"
            plots.append(_line(material, row, f"line-{place}", caption))
    text = material.absent if material.samples is None else f"Values in {_UNIT} of each column."
    return Section(
        anchor="reconstructions",
        title="Reconstructions",
        text=(text,),
        items=tuple(plots),
        columns=2,
    )


def _line(material: ReportContext, row: int, name: str, caption: str) -> Plot:
    axes, keys = new_axes(), []
    rows = torch.tensor([row])
    made = material.decoded(material.run.codes[rows])[0]
    if material.samples is not None:
        values = _known(material, rows)[0]
        axes.plot(values.tolist(), color=INK, linewidth=1.2, marker=_dot(len(made)), markersize=3)
        keys.append(Key(colour=page_colour(INK), text="example"))
    axes.plot(made.tolist(), color=_FIRST, marker=_dot(len(made)), markersize=3)
    keys.append(Key(colour=page_colour(_FIRST), text="reconstruction"))
    axes.set(xlabel="column", ylabel="value")
    alt = f"Training example {row} and its reconstruction, a value for each column."
    return Plot(svg=to_svg(axes, name, alt), caption=caption, keys=tuple(keys))


def spread(material: ReportContext) -> Section | None:
    """Draw where samples of each prior lie in every column, beside the training examples."""
    if not material.priors and not material.left_out:
        return None
    n = material.run.data.n
    real = _quantiles(_known(material, permutation(n, 0, 0)[:_ROWS].sort().values))
    plots = []
    with axes_style():
        for prior in material.priors:
            drawn = prior.sample(_SAMPLES, seed=material.run.settings.seed)
            made = _quantiles(material.decoded(drawn))
            plots.append(_bands(real, made, prior.name))
    which = "training examples" if material.samples is not None else "reconstructions"
    text = (
        f"For every column the range that nine of ten values lie in, and the median: of {which} "
        f"and of {_SAMPLES} samples of each prior, in {_UNIT}."
    )
    return Section(
        anchor="samples",
        title="Samples",
        text=(text, *material.left_out),
        items=tuple(plots),
        columns=2,
    )


def _known(material: ReportContext, rows: Tensor) -> Tensor:
    """Return examples with NaN where a value is missing, or reconstructions without the data."""
    values = material.examples(rows)
    observed = None if material.samples is None else material.samples.observed(rows)
    return values if observed is None else values.masked_fill(observed == 0, float("nan"))


def _quantiles(values: Tensor) -> Tensor:
    return values.nanquantile(torch.tensor([0.05, 0.5, 0.95]), dim=0)


def _bands(real: Tensor, made: Tensor, name: str) -> Plot:
    axes, keys = new_axes(), []
    for values, colour, text, shift in (
        (real, INK, "data", -0.18),
        (made, _FIRST, "samples", 0.18),
    ):
        low, middle, high = values.tolist()
        places = [place + shift for place in range(len(low))]
        if len(low) <= _FEW:
            axes.vlines(places, low, high, color=colour, linewidth=1.6)
            axes.plot(places, middle, color=colour, linestyle="", marker="o", markersize=4)
        else:
            axes.fill_between(places, low, high, color=colour, alpha=0.25, linewidth=0)
            axes.plot(places, middle, color=colour, linewidth=1.2)
        keys.append(Key(colour=page_colour(colour), text=text))
    axes.set(xlabel="column", ylabel="value")
    alt = f"Ranges and medians of each column, of the data and of samples of the {name} prior."
    return Plot(svg=to_svg(axes, f"spread-{name}", alt), caption=name, keys=tuple(keys))


def _dot(columns: int) -> str:
    return "o" if columns <= _FEW else ""
