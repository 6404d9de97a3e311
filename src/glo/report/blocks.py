"""Building blocks of the page: sections of plots, pictures and tables."""

from dataclasses import dataclass
from typing import final

from markupsafe import Markup

__all__ = ["Picture", "Plot", "Section", "Table", "Tile"]


@final
@dataclass(frozen=True, kw_only=True)
class Plot:
    """An inline drawing in the colors of the page; `legend` has CSS colors with their texts."""

    svg: Markup
    caption: str
    legend: tuple[tuple[str, str], ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Picture:
    """A grid of examples as one image, `columns` in a line; `uri` is a data: address."""

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
    """A table of figures: label and cells of each row, and the title of a folded table."""

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
    """Content of a section: paragraphs, items (`columns` side by side), and a command."""

    text: tuple[str, ...] = ()
    items: tuple[Plot | Picture | Table, ...] = ()
    columns: int = 1
    code: str = ""
