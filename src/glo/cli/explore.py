"""`glo explore`: an interactive page of a run."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, import_decoder_class


def explore(
    run: Path,
    /,
    *,
    port: int = 0,
    browser: bool = True,
    parent: Annotated[int | None, Parameter(show=False)] = None,
    decoder: DecoderOption = None,
) -> int:
    """Serve an interactive page of a run on this machine; Ctrl-C ends it.

    Access needs the token in the printed address. The page of a run in training shows its curves
    and pictures as they are written.

    Args:
        run: The run folder.
        port: Port of the server; 0: a free one.
        browser: Open the page in the browser, or only print its address.
        parent: End with the process of this id, which started this one.
    """
    import webbrowser

    from glo.explorer import serve

    if parent is not None:
        # The training has priority.
        os.nice(5)

    def on_ready(address: str) -> None:
        # On a line of its own, so that a terminal makes a link of it.
        print(f"{address}\nThe page shows {run}; Ctrl-C stops it.", flush=True)
        if browser:
            webbrowser.open(address)

    custom = import_decoder_class(decoder)
    # The regular end; there is nothing to save.
    with suppress(KeyboardInterrupt):
        serve(run, port=port, parent=parent, on_ready=on_ready, decoder=custom)
    return 0
