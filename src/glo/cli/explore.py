"""`glo explore`: a page to play with a run, on this machine."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class

__all__ = ["explore"]


def explore(
    run: Path,
    /,
    *,
    port: int = 0,
    browser: bool = True,
    parent: Annotated[int | None, Parameter(show=False)] = None,
    decoder: DecoderOption = None,
) -> int:
    """Serve a page on this machine to look at a run and play with it; Ctrl-C ends it.

    The printed address holds a token, and nobody gets in without it. A run that is still in
    training can be opened too: its curves and pictures come as they are made.

    Args:
        run: The run folder.
        port: Port to serve on; 0 takes a free one.
        browser: Open the page in the browser. --no-browser only prints the address.
        parent: End with this process, which started this one.
    """
    from glo.explorer import serve

    own = import_decoder_class(decoder)
    if parent is not None:
        # Whoever trains comes first.
        os.nice(5)

    def on_ready(address: str) -> None:
        # Alone on its line, so that a terminal makes a link of it.
        print(address, flush=True)
        if browser:
            import webbrowser

            webbrowser.open(address)

    try:
        serve(run, port=port, parent=parent, on_ready=on_ready, decoder=own)
    except KeyboardInterrupt:
        # The way to end it; there is nothing to save.
        return 0
    return 0
