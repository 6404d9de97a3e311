"""Opening of a run whose decoder may be a custom class, and remarks on data given to it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from glo.data import Dataset
    from glo.decoders import DecoderLike
    from glo.workflows.run import Run

DecoderOption = Annotated[
    str | None,
    Parameter(
        name="--decoder",
        help="Class of the run's decoder as module:Class, for a custom decoder; its module is "
        "imported and run.",
    ),
]


def import_decoder_class(name: str | None) -> "DecoderLike | None":
    """Import the class of a custom decoder, or return None."""
    from glo.decoders import import_decoder

    return None if name is None else import_decoder(name)


def open_with_decoder(run: Path, decoder: str | None) -> "Run":
    """Open a run, with the class of a custom decoder if one is named."""
    from glo.workflows.run import open_run

    return open_run(run, decoder=import_decoder_class(decoder))


def print_remarks(run: "Run", dataset: "Dataset") -> None:
    """Print what was left out of data given to a run, and decisions about them that are new."""
    for sentence in dataset.skipped:
        print(f"Skipped {sentence}", file=sys.stderr)
    for note in dataset.notes:
        if note not in run.notes:
            print(f"Note: {note}", file=sys.stderr)
