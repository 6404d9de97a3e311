"""Column specification: the columns of a table or dataset, written behind a question mark."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self, final

from glo.errors import UserError, suggest

__all__ = ["NO_COLUMN_SPEC", "ColumnSpec", "split_column_spec"]


@final
@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """Names of the columns of a source.

    Attributes:
        image: column of images; empty: found by type.
        label: column of labels; empty: found by name; "none": no labels.
        columns: numeric columns, separated by commas; empty: all.
        without: columns that are left out, separated by commas.
        config: configuration of a dataset on the Hub that has several.
    """

    image: str = ""
    label: str = ""
    columns: str = ""
    without: str = ""
    config: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse "label=kind&columns=a,b".

        Example:
            >>> ColumnSpec.parse("lable=kind")
            Traceback (most recent call last):
            glo.errors.UserError: 'lable=kind' is no column specification; write NAME=VALUE with \
image, label, columns, without or config. Did you mean 'label'?
        """
        names = [field.name for field in fields(cls)]
        values = {}
        for part in text.split("&"):
            name, _, value = part.partition("=")
            if name not in names or not value:
                raise UserError(
                    f"'{part}' is no column specification; write NAME=VALUE with "
                    f"{', '.join(names[:-1])} or {names[-1]}.{suggest(name, names)}"
                )
            values[name] = value
        if "columns" in values and "without" in values:
            raise UserError(
                f"'{text}' names columns to take and columns to leave out; give columns, and all "
                f"others are left out, or without, and all others are taken."
            )
        return cls(**values)


NO_COLUMN_SPEC = ColumnSpec()


def split_column_spec(source: str) -> tuple[str, ColumnSpec]:
    """Split "PLACE?NAME=VALUE&..." in two, unless it is the name of an existing file."""
    place, mark, text = source.partition("?")
    if not mark or Path(source).exists():
        return source, NO_COLUMN_SPEC
    return place, ColumnSpec.parse(text)
