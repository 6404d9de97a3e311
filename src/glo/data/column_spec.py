"""Column specification: the columns of a table or dataset, written behind a question mark."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, final
from urllib.parse import unquote

from glo.errors import UserError, listed, suggest

__all__ = ["NO_COLUMN_SPEC", "ColumnSpec", "escape", "listed_columns", "split_column_spec"]

# A column whose name is empty, as pandas and R write the index of the rows.
_UNNAMED = "''"
_LISTS = ("columns", "without", "missing")
_CHARACTERS = ("separator", "decimal", "thousands")


@final
@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """Names of the columns of a source, and the spelling of the numbers of a .csv file.

    Attributes:
        image: column of images; empty: found by type.
        label: column of labels; empty: found by name; "none": no labels.
        index: column that identifies the rows; None: found by name.
        columns: numeric columns; empty: all.
        without: columns that are left out.
        config: configuration of a dataset on the Hub that has several.
        separator: character between the cells; empty: found.
        decimal: decimal sign; empty: found.
        thousands: thousands separator; empty: none.
        missing: texts or numbers of missing cells, beside the usual ones.
    """

    image: str = ""
    label: str = ""
    index: str | None = None
    columns: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    config: str = ""
    separator: str = ""
    decimal: str = ""
    thousands: str = ""
    missing: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse "label=kind&columns=a,b"; `%2C` is a comma in a name, and '' an empty name.

        Example:
            >>> ColumnSpec.parse("columns=left%2C right,''").columns
            ('left, right', '')
            >>> ColumnSpec.parse("lable=kind")
            Traceback (most recent call last):
            glo.errors.UserError: 'lable=kind' is no column specification; write NAME=VALUE with \
image, label, index, columns, without, config, separator, decimal, thousands or missing. Did you \
mean 'label'?
        """
        names = [field.name for field in fields(cls)]
        values: dict[str, Any] = {}
        for part in text.split("&"):
            name, _, value = part.partition("=")
            if name not in names or not value:
                raise UserError(
                    f"'{part}' is no column specification; write NAME=VALUE with "
                    f"{', '.join(names[:-1])} or {names[-1]}.{suggest(name, names)}"
                )
            values[name] = _parse_value(name, value)
        if "columns" in values and "without" in values:
            raise UserError(
                f"'{text}' names columns to take and columns to leave out; give columns, and all "
                f"others are left out, or without, and all others are taken."
            )
        return cls(**values)

    @property
    def has_csv_options(self) -> bool:
        """Whether there is an option that only a .csv file has."""
        return bool(self.separator or self.decimal or self.thousands)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are named."""
        label = self.label if self.label != "none" else ""
        single = [name for name in (self.image, label) if name]
        index = [] if self.index is None else [self.index]
        return (*single, *index, *self.columns, *self.without)


NO_COLUMN_SPEC = ColumnSpec()


def _parse_value(name: str, value: str) -> Any:
    if name in _LISTS:
        return tuple(_unescape(part) for part in value.split(","))
    value = _unescape(value)
    if name in _CHARACTERS:
        value = {"\\t": "\t", "tab": "\t"}.get(value, value)
        if len(value) != 1 or value.isalnum() or value in '"+-\r\n':
            raise UserError(f"{name} is '{value}'; give one character, such as a comma.")
    return value


def _unescape(text: str) -> str:
    return "" if text == _UNNAMED else unquote(text)


def escape(name: str) -> str:
    """Return a name as it is written in a column specification.

    Example:
        >>> escape("left, right"), escape("")
        ('left%2C right', "''")
    """
    for character in "%,&=":
        name = name.replace(character, f"%{ord(character):02X}")
    return name or _UNNAMED


def listed_columns(names: list[str]) -> str:
    """Return names as the value of a column specification, the first ones and ",..."."""
    return listed([escape(name) for name in names], comma=",", rest=",...")


def split_column_spec(source: str) -> tuple[str, ColumnSpec]:
    """Split "PLACE?NAME=VALUE&..." in two, unless it is the name of an existing file."""
    place, mark, text = source.partition("?")
    if not mark or Path(source).exists():
        return source, NO_COLUMN_SPEC
    return place, ColumnSpec.parse(text)
