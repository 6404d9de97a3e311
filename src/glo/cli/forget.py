"""`glo forget`: rows removed from a finished run."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class

__all__ = ["forget"]

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

    Row numbers are those of the data, from 0; rows after a removed one move up. Priors are fitted
    again without the removed codes. The weights of the decoder are unchanged: traces of an example
    in them are removed by training again only. This cannot be undone.

    Args:
        run: The run folder.
        rows: Numbers and ranges, such as 3,17,40-49, or a text file of them.
        refit: Fit the Gaussian and the default prior to the remaining codes, or leave the run
            without a prior until glo sample fits one.
    """
    from glo.cli.progress import show_progress
    from glo.runs.run import open_run
    from glo.utils.row_ranges import parse_rows
    from glo.workflows.edit_rows import forget_rows

    decoder_class = import_decoder_class(decoder)
    opened = open_run(run, decoder=decoder_class)
    numbers = parse_rows(_row_text(rows), opened.data.n)
    return show_progress(partial(forget_rows, run, numbers, refit=refit, decoder=decoder_class))


def _row_text(rows: str) -> str:
    from glo.errors import UserError
    from glo.utils.files import read_text

    if not any(letter.isalpha() or letter in "/." for letter in rows):
        return rows
    try:
        return read_text(Path(rows), max_bytes=_MAX_BYTES)
    except (OSError, UserError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(
            f"ROWS is {rows}, neither rows such as 3,17,40-49 nor a text file of them ({reason}); "
            f"give one of the two."
        ) from None
