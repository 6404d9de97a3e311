"""`glo forget`: rows removed from a finished run."""

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class

if TYPE_CHECKING:
    from torch import Tensor

    from glo.runs.row_ids import RowIds

__all__ = ["forget"]

_NUMBERS = re.compile(r"[\d\s,-]*")

# Size of a text file of rows, about eight million.
_MAX_BYTES = 64 * 2**20


def forget(
    run: Path,
    rows: str,
    /,
    *,
    refit: Annotated[bool, Parameter(negative="--no-refit")] = True,
    decoder: DecoderOption = None,
) -> int:
    """Remove examples from a finished run: codes, optimizer state, errors, labels and pictures.

    Rows after a removed one move up, and from then on row:NUMBER is required for them. Priors are
    fitted again without the removed codes. The weights of the decoder are unchanged: traces of an
    example in them are removed by training again only. This cannot be undone.

    Args:
        run: The run folder.
        rows: Row numbers and ranges from 0, or identities, such as the paths of images that glo
            export --codes lists: 3,17,40-49 or cat/1.png; or a text file of them, one a line.
        refit: Fit the Gaussian and the default prior to the remaining codes, or leave the run
            without a prior until glo sample fits one.
    """
    from glo.cli.progress import show_progress
    from glo.runs.run import open_run
    from glo.workflows.edit_rows import forget_rows

    decoder_class = import_decoder_class(decoder)
    opened = open_run(run, decoder=decoder_class)
    numbers = _parse(opened.row_ids, rows)
    change = partial(forget_rows, run, numbers, refit=refit, decoder=decoder_class)
    return show_progress(partial(change, fingerprint=opened.data.fingerprint))


def _parse(ids: "RowIds", rows: str) -> "Tensor":
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
            f"ROWS is {rows}, a row of the run and a file; write id:{rows} or {path.absolute()}."
        )
    try:
        return ids.parse(read_text(path, max_bytes=_MAX_BYTES))
    except OSError as error:
        raise UserError(f"ROWS is {rows}, a file that cannot be read ({error.strerror}).") from None
