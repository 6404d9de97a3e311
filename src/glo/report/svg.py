"""Plots as SVG that takes the colours and the font of the page it stands in.

They are drawn with a few made-up colours, which then become the page's own: so one drawing is
readable on light and on dark. The same data give the same bytes.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

__all__ = ["INK", "LINE", "SERIES", "axes_style", "new_axes", "page_colour", "plain_log", "to_svg"]

INK, LINE = "#0000f0", "#0000f1"
SERIES = ("#0000f2", "#0000f3", "#0000f4", "#0000f5")
_PAGE = {INK: "var(--ink)", LINE: "var(--line)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)
}
# 4.4 inches are about the width of a phone: there a letter of 9 points keeps its size.
_SIZE = (4.4, 2.75)
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "glo",
    "savefig.transparent": True,
    "font.size": 9.0,
    "text.color": INK,
    # A name with dollar signs is no formula.
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "image.interpolation": "nearest",
}


@contextmanager
def axes_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own is, and leave that as it was."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_axes(width: float = 1.0, height: float = 1.0) -> Axes:
    """Return axes in a figure of their own, of so many times the usual width and height."""
    size = (_SIZE[0] * width, _SIZE[1] * height)
    axes: Axes = Figure(figsize=size, layout="constrained").subplots()
    return axes


def page_colour(colour: str) -> str:
    """Return the page's name of a colour that is drawn with.

    Example:
        >>> page_colour(SERIES[0])
        'var(--series-1)'
    """
    return _PAGE.get(colour, colour)


def plain_log(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with a few plain numbers beside it."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = sorted(axis.get_view_interval())
    # Over a few powers of ten, those alone would be too few numbers to read a value by.
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def to_svg(axes: Axes, name: str, alt: str) -> Markup:
    """Return the figure of `axes` as an `svg` element for a page.

    Args:
        axes: drawn in `axes_style`, and still in it.
        name: unique in the page; the names inside the drawing begin with it.
        alt: what the plot shows, for who cannot see it.

    Example:
        >>> with axes_style():
        ...     axes = new_axes()
        ...     _ = axes.plot([1, 2], color=SERIES[0])
        ...     text = to_svg(axes, "a", "A line <upwards>.")
        >>> text[:67]
        Markup('<svg role="img" aria-label="A line &lt;upwards&gt;." viewBox="0 0 3')
        >>> "var(--series-1)" in text, "http" in text
        (True, False)
    """
    figure, buffer = axes.get_figure(root=True), io.StringIO()
    assert figure is not None, "axes are made in a figure"
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None, "an SVG has a view box"
    # Without the head, the description of the file, and a style that would hold for the whole page.
    text = re.sub(
        r"^.*?<svg[^>]*>|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.S
    )
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r'\bid="|href="#|url\(#', lambda found: f"{found[0]}{name}-", text)
    for colour, page in _PAGE.items():
        text = text.replace(colour, page)
    return Markup(f'<svg role="img" aria-label="{escape(alt)}" viewBox="{box[1]}">{text}')
