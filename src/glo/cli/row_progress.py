"""Progress of `glo add` and `glo forget`; a signal leaves the run unchanged."""

import sys
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glo.training.events import RowEvent

__all__ = ["show_row_events"]


def show_row_events(events: "Generator[RowEvent, None, None]") -> int:
    """Show the events of an edit of rows until their end or a signal; return the exit code.

    Args:
        events: generator of the edit, which is closed after a signal.
    """
    from glo.cli.progress import ProgressBar
    from glo.cli.signals import StopRequest
    from glo.training.events import Fitting, Note

    with StopRequest() as stop, closing(events), ProgressBar() as bar:
        for event in events:
            if isinstance(event, Note):
                # Notes follow the last step, so a signal has nothing left to stop.
                bar.close()
                print(f"{'Warning: ' if event.warning else ''}{event.sentence}")
                continue
            if isinstance(event, Fitting):
                bar.show(f"fitting the {event.prior} prior, %", round(100 * event.share), 100)
            else:
                bar.show("searching codes", event.rows, event.n)
            if stop.requested:
                print("glo: stopped; nothing was changed.", file=sys.stderr)
                return 130
    return 0
