"""`glo add`: examples added to a finished run."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class, print_remarks

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
    """Add examples to a finished run without training: their codes are found by inversion.

    They become its last rows; the decoder and all other codes are unchanged, so the examples should
    be similar to the training examples. Their reconstruction error is printed.

    Args:
        run: The run folder.
        files: Image files, folders of them, or one .npy or .npz file, folder of IDX files, or
            mnist. Images are cropped and scaled as in training.
        split: Split of a source that has two.
        limit: Number of examples to add, from the first; unset: all.
        refit: Fit the Gaussian, the default prior and the labels to all codes, or keep them.
    """
    from glo.cli.progress import show_progress
    from glo.workflows.edit_rows import add_rows
    from glo.workflows.inputs import open_inputs
    from glo.workflows.run import open_run

    decoder_class = import_decoder_class(decoder)
    opened = open_run(run, decoder=decoder_class)
    inputs = open_inputs(opened, files, split=split, limit=limit)
    print_remarks(opened, inputs.dataset)
    # A repeated command adds nothing.
    last = opened.data.changes[-1:]
    if any(change.fingerprint == inputs.dataset.fingerprint for change in last):
        print(f"These examples were the last that were added to {run}; nothing was changed.")
        return 0
    change = partial(add_rows, run, inputs.dataset, source=" ".join(files), names=inputs.names)
    change = partial(change, split="" if split == "train" else split, limit=limit or 0)
    return show_progress(partial(change, refit=refit, decoder=decoder_class))
