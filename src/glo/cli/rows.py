"""Rows of a run, given as text or as a text file: the syntax of ROWS and of `--rows`."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from glo.runs.row_ids import RowIds

__all__ = ["parse_rows"]

_NUMBERS = re.compile(r"[\d\s,-]*")

# Size of a text file of rows, about eight million.
_MAX_BYTES = 64 * 2**20


def parse_rows(ids: "RowIds", rows: str, name: str) -> "Tensor":
    """Parse rows given as text or in a text file; see `RowIds.parse`.

    Args:
        ids: identities of the run's rows.
        rows: row numbers, ranges and identities between commas, or the path of a text file of them.
        name: name of the argument, for messages.

    Returns:
        unique rows in the order given, int64 (m,).

    Raises:
        UserError: a row that does not exist, a file that cannot be read, or a name that is both.
    """
    from glo.data.readers.images import image_suffixes
    from glo.errors import UserError
    from glo.utils.files import read_text

    path = Path(rows)
    # Numbers are no names of files, and an image is no list of rows.
    is_list = not _NUMBERS.fullmatch(rows) and path.suffix.lower() not in image_suffixes()
    if not (is_list and os.path.isfile(rows)):
        try:
            return ids.parse(rows)
        except UserError as error:
            no_file = f"There is no text file '{rows}': " if is_list and path.suffix else ""
            raise UserError(f"{no_file}{error}") from None
    if rows in ids:
        raise UserError(
            f"{name} is {rows}, a row of the run and a file; write id:{rows} or {path.absolute()}."
        )
    try:
        return ids.parse(read_text(path, max_bytes=_MAX_BYTES))
    except OSError as error:
        raise UserError(
            f"{name} is {rows}, a file that cannot be read ({error.strerror})."
        ) from None
