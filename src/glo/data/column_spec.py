"""Which columns of a table or a data set are meant, said behind a question mark."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self, final

from glo.errors import UserError, suggest

__all__ = ["NO_COLUMN_SPEC", "ColumnSpec", "split_column_spec"]


@final
@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """What was named of a source that has columns.

    Attributes:
        image: column of images; empty: looked for.
        label: column of labels; empty: looked for; "none": there is none.
        columns: of numbers, separated by commas; empty: all that hold numbers.
        without: columns that are left out, separated by commas; empty: none.
        config: of a data set on the Hub that has several; empty: the only one.
    """

    image: str = ""
    label: str = ""
    columns: str = ""
    without: str = ""
    config: str = ""

    @classmethod
    def parse(cls, words: str) -> Self:
        """Read "label=kind&columns=a,b".

        Raises:
            UserError: a part is no NAME=VALUE, there is no such name, or two exclude each other.

        Example:
            >>> ColumnSpec.parse("label=kind").label
            'kind'
            >>> ColumnSpec.parse("lable=kind")
            Traceback (most recent call last):
            glo.errors.UserError: 'lable=kind' says nothing of a source; write NAME=VALUE with \
image, label, columns, without or config. Did you mean 'label'?
        """
        known = [field.name for field in fields(cls)]
        found = {}
        for part in words.split("&"):
            name, _, value = part.partition("=")
            if name not in known or not value:
                raise UserError(
                    f"'{part}' says nothing of a source; write NAME=VALUE with "
                    f"{', '.join(known[:-1])} or {known[-1]}.{suggest(name, known)}"
                )
            found[name] = value
        if "columns" in found and "without" in found:
            raise UserError(
                f"'{words}' names columns to take and columns to leave out; give columns, and all "
                f"others are left out, or without, and all others are taken."
            )
        return cls(**found)


NO_COLUMN_SPEC = ColumnSpec()


def split_column_spec(source: str) -> tuple[str, ColumnSpec]:
    """Split "PLACE?NAME=VALUE&..." into the place and what is chosen in it.

    A file whose own name has a question mark is taken as it is.

    Example:
        >>> split_column_spec("penguins.csv?label=species")[0]
        'penguins.csv'
    """
    place, mark, words = source.partition("?")
    if not mark or Path(source).exists():
        return source, NO_COLUMN_SPEC
    return place, ColumnSpec.parse(words)
