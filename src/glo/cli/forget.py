"""`glo forget`: rows removed from a finished run."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class
from glo.cli.rows import parse_rows

__all__ = ["forget"]


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
            export --codes lists: 3,17,40-49 or cat/1.png; or a text file of them, one a line, such
            as the row list that glo explore saves.
        refit: Fit the Gaussian and the default prior to the remaining codes, or leave the run
            without a prior until glo sample fits one.
    """
    from glo.cli.progress import show_progress
    from glo.runs.run import open_run
    from glo.workflows.edit_rows import forget_rows

    decoder_class = import_decoder_class(decoder)
    opened = open_run(run, decoder=decoder_class)
    numbers = parse_rows(opened.row_ids, rows, "ROWS")
    change = partial(forget_rows, run, numbers, refit=refit, decoder=decoder_class)
    return show_progress(partial(change, fingerprint=opened.data.fingerprint))
