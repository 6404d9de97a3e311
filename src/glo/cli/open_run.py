"""What commands share that open a run whose decoder may be of somebody's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from glo.decoders import Decoder
    from glo.runs.run import Run

__all__ = ["DecoderOption", "import_decoder_class", "open_with_decoder"]

DecoderOption = Annotated[
    str | None,
    Parameter(
        name="--decoder",
        help="For a run with a decoder of somebody's own: its class as module:Class, which is "
        "imported and run.",
    ),
]


def import_decoder_class(name: str | None) -> "type[Decoder] | None":
    """Import the class that the user named, if one was.

    Raises:
        UserError: there is none of that name.
    """
    if name is None:
        return None
    from glo.decoders import import_decoder

    return import_decoder(name)


def open_with_decoder(run: Path, decoder: str | None) -> "Run":
    """Open a run with the class that the user named for its decoder, if one was.

    Raises:
        UserError: it is no run folder, or there is no such class.
    """
    from glo.runs.run import open_run

    return open_run(run, decoder=import_decoder_class(decoder))
