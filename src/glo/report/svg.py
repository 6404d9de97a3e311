"""Plots as SVG in the colors and the font of the page.

Plots are drawn in placeholder colors, which CSS variables of the page replace: one drawing is
readable on light and on dark. The same data give the same bytes.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from glo.report.blocks import Plot

__all__ = ["INK", "SERIES", "axes_style", "log_scale", "new_axes", "to_plot"]

INK, _LINE = "#0000f0", "#0000f1"
SERIES = ("#0000f2", "#0000f3", "#0000f4", "#0000f5")
_VARIABLES = {INK: "var(--ink)", _LINE: "var(--line)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)
}
# Inches: about the width of a phone, where text of 9 points keeps its size.
_SIZE = (4.4, 2.75)
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "glo",
    "savefig.transparent": True,
    "font.size": 9.0,
    "text.color": INK,
    # A name with dollar signs is not a formula.
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": _LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "image.interpolation": "nearest",
}


@contextmanager
def axes_style() -> Iterator[None]:
    """Set matplotlib to the style of the report, whatever the user's settings, and restore it."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_axes(width: float = 1.0, height: float = 1.0) -> Axes:
    """Return the axes of a new figure; width and height are multiples of the usual size."""
    size = (_SIZE[0] * width, _SIZE[1] * height)
    axes: Axes = Figure(figsize=size, layout="constrained").subplots()
    return axes


def log_scale(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic with a few plain tick labels."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = sorted(axis.get_view_interval())
    # Over a few powers of ten, those alone would be too few ticks to read a value by.
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def to_plot(
    axes: Axes, name: str, *, alt: str, caption: str, legend: Sequence[tuple[str, str]] = ()
) -> Plot:
    """Return axes drawn inside `axes_style` as a plot; `name` is unique in the page."""
    entries = tuple((_VARIABLES.get(colour, colour), text) for colour, text in legend)
    return Plot(svg=_svg(axes, name, alt), caption=caption, legend=entries)


def _svg(axes: Axes, name: str, alt: str) -> Markup:
    figure, buffer = axes.get_figure(root=True), io.StringIO()
    assert figure is not None, "axes belong to a figure"
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None, "an SVG has a view box"
    # Remove the head, the metadata, and a style that would apply to the whole page.
    text = re.sub(
        r"^.*?<svg[^>]*>|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.S
    )
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r'\bid="|href="#|url\(#', lambda match: f"{match[0]}{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return Markup(f'<svg role="img" aria-label="{escape(alt)}" viewBox="{box[1]}">{text}')
