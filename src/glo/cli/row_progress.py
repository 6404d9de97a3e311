"""What is seen while rows of a run come or go; a signal leaves all as it was."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glo.training.events import RowEvent

__all__ = ["drive"]


def drive(events: "Iterator[RowEvent]") -> int:
    """Show events until they end or a signal comes, and return the exit code.

    Args:
        events: a generator, which is closed when a signal comes.
    """
    from glo.cli.progress import PartReporter
    from glo.cli.signals import StopRequest
    from glo.training.events import Fitting, Note

    reporter = PartReporter()
    with StopRequest() as stop, ExitStack() as stack:
        stack.callback(reporter.close)
        stack.callback(getattr(events, "close", reporter.close))
        for event in events:
            if isinstance(event, Note):
                # Sentences come last: the change is made, and there is nothing left to stop.
                reporter.close()
                print(f"{'Warning: ' if event.warning else ''}{event.sentence}")
                continue
            if isinstance(event, Fitting):
                part = f"fitting the {event.prior} prior, %"
                reporter.show(part, round(100 * event.share), 100)
            else:
                reporter.show("searching codes", event.rows, event.n)
            if stop.requested:
                print("glo: stopped; nothing was changed.", file=sys.stderr)
                return 130
    return 0
