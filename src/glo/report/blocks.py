"""What a page is made of: sections of plots, pictures and tables."""

from dataclasses import dataclass
from typing import final

from markupsafe import Markup

__all__ = ["Key", "Picture", "Plot", "Section", "Table", "Tile"]


@final
@dataclass(frozen=True, kw_only=True)
class Key:
    """One entry of a legend: a CSS colour and what it stands for."""

    colour: str
    text: str


@final
@dataclass(frozen=True, kw_only=True)
class Plot:
    """A drawing that takes the colours of the page.

    Attributes:
        svg: an `svg` element.
        caption: below it.
        keys: its legend, in words of the page, so that it wraps on a phone.
    """

    svg: Markup
    caption: str
    keys: tuple[Key, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Picture:
    """Examples side by side in one image.

    Attributes:
        uri: the image itself, as a data: address.
        width: in pixels.
        height: in pixels.
        columns: examples in a line; few are not blown up to the whole width.
        pixelated: whether its pixels stay sharp when it is enlarged.
        alt: what it shows, for who cannot see it.
        caption: below it.
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
    """Figures in rows.

    Attributes:
        headings: of the columns after the first.
        rows: each a label and its cells.
        folded: a title under which the table is folded away, or empty.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    folded: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Tile:
    """One headline figure: its name, its value, and what to compare it with."""

    name: str
    value: str
    note: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: its name in addresses, lower-case letters and hyphens.
        title: its heading.
        text: paragraphs.
        items: what is shown, in order.
        columns: how many stand side by side where there is room.
        code: a command, or empty.
    """

    anchor: str
    title: str
    text: tuple[str, ...] = ()
    items: tuple[Plot | Picture | Table, ...] = ()
    columns: int = 1
    code: str = ""
