"""`glo forget`: rows removed from a finished run."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class
from glo.cli.rows import parse_rows
from glo.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from glo.runs.run import Run

__all__ = ["forget"]


def forget(
    run: Path,
    rows: str,
    /,
    *,
    refit: Annotated[bool, Parameter(negative="--no-refit")] = True,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
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
        dry_run: Print what would be removed, and change nothing.
        yes: Do not ask first; needed where there is no terminal to answer at.
    """
    from glo.cli.progress import show_progress
    from glo.runs.run import open_run
    from glo.workflows.edit_rows import forget_rows

    decoder_class = import_decoder_class(decoder)
    opened = open_run(run, decoder=decoder_class)
    numbers = parse_rows(opened.row_ids, rows, "ROWS")
    if dry_run or not yes:
        sentence = _describe(opened, numbers)
        if dry_run or not _is_confirmed(sentence):
            print(f"{sentence * dry_run}Nothing was changed.")
            return 0
    change = partial(forget_rows, run, numbers, refit=refit, decoder=decoder_class)
    return show_progress(partial(change, fingerprint=opened.data.fingerprint))


def _describe(run: "Run", numbers: "Tensor") -> str:
    """Return sentences on what is removed."""
    from glo.errors import listed

    kept = run.data.n - len(numbers)
    names = listed([str(run.row_ids.of(row)) for row in numbers.tolist()])
    return (
        f"Removes {len(numbers):,} of {run.data.n:,} examples of {run.folder} ({names}), with "
        f"their codes, errors, labels and all pictures of the run; {kept:,} remain. This cannot be "
        f"undone.\n"
    )


def _is_confirmed(sentence: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError(
            "glo forget removes examples for good, and there is no terminal to ask at; give --yes "
            "to remove them, or --dry-run to see what would be removed."
        )
    return input(f"{sentence}Go on? [y/N] ").strip().lower() in ("y", "yes")
