"""Building blocks of the page: sections of plots, pictures and tables."""

from dataclasses import dataclass
from typing import final

from markupsafe import Markup

__all__ = ["Picture", "Plot", "Section", "Table", "Tile"]


@final
@dataclass(frozen=True, kw_only=True)
class Plot:
    """An inline drawing in the colors of the page.

    Attributes:
        svg: an `svg` element.
        caption: text below it.
        legend: CSS color and text of each entry, drawn in HTML so that they wrap on a phone.
    """

    svg: Markup
    caption: str
    legend: tuple[tuple[str, str], ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Picture:
    """A grid of examples as one image.

    Attributes:
        uri: the image as a data: address.
        width: width in pixels.
        height: height in pixels.
        columns: examples in a line, which bounds the width on the page.
        pixelated: whether the browser enlarges it without smoothing.
        alt: text alternative.
        caption: text below it.
    """

    uri: str
    width: int
    height: int
    columns: int
    pixelated: bool
    alt: str
    caption: str


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of figures.

    Attributes:
        headings: headings of the columns after the first.
        rows: label and cells of each row.
        folded: title of a folded table, or empty.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    folded: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Tile:
    """One headline figure: name, value and a note for comparison."""

    name: str
    value: str
    note: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the page.

    Attributes:
        anchor: fragment of its address, lower-case letters and hyphens.
        title: heading.
        text: paragraphs.
        items: plots, pictures and tables in order.
        columns: items side by side on a wide screen.
        code: a command, or empty.
    """

    anchor: str
    title: str
    text: tuple[str, ...] = ()
    items: tuple[Plot | Picture | Table, ...] = ()
    columns: int = 1
    code: str = ""
