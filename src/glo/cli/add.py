"""`glo add`: more examples for a finished run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class

if TYPE_CHECKING:
    from glo.data import Dataset
    from glo.runs.run import Run

__all__ = ["add"]


def add(
    run: Path,
    /,
    *files: str,
    split: Literal["train", "test"] = "train",
    limit: int | None = None,
    refit: Annotated[bool, Parameter(negative="--keep-priors")] = True,
    decoder: DecoderOption = None,
) -> int:
    """Add examples to a finished run, without training: their codes are found by search.

    They become its last rows, and no other code changes. The decoder stays as it is, so they should
    be of the kind that it was trained on; how well it knows them is told.

    Args:
        run: The run folder.
        files: Image files, folders of them, or one .npy or .npz file, folder of IDX files, or
            mnist. Images are cut and scaled as those of the training were.
        split: Which part of a source that has two.
        limit: The first so many alone.
        refit: Fit the Gaussian, the run's prior and the labels to all codes, or keep what there is.
    """
    from functools import partial

    from glo.cli.row_progress import show_progress
    from glo.runs.run import open_run
    from glo.workflows.edit_rows import add_rows
    from glo.workflows.inputs import open_inputs

    own = import_decoder_class(decoder)
    opened = open_run(run, decoder=own)
    seen = open_inputs(opened, files, split=split, limit=limit)
    for sentence in seen.skipped:
        print(f"Skipped {sentence}", file=sys.stderr)
    if _is_there(opened, seen.dataset):
        print(f"These examples were the last that were added to {run}; nothing was changed.")
        return 0
    source, part = " ".join(files), "" if split == "train" else split
    return show_progress(
        partial(
            add_rows,
            run,
            seen.dataset,
            source=source,
            split=part,
            limit=limit or 0,
            refit=refit,
            decoder=own,
        )
    )


def _is_there(run: "Run", samples: "Dataset") -> bool:
    # The same command again, after a doubt whether it was carried out, adds nothing twice.
    last = run.data.changes[-1:]
    return any(change.fingerprint == samples.fingerprint for change in last)
