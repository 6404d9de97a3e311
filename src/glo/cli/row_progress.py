"""Progress of adding and removing rows; a signal leaves the run unchanged."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glo.training.callbacks import Message

__all__ = ["show_progress"]


def show_progress(edit: "Callable[..., list[Message]]") -> int:
    """Run an edit of rows with progress, print its messages and return the exit code.

    Args:
        edit: takes `callback` as `glo.workflows.edit_rows.add_rows` does.
    """
    from glo.cli.progress import TaskProgress
    from glo.utils.signals import StopRequest

    with StopRequest() as stop, TaskProgress() as progress:

        def show(part: str, done: int, total: int) -> None:
            progress.show(part, done, total)
            if stop.requested:
                raise KeyboardInterrupt

        try:
            messages = edit(callback=show)
        except KeyboardInterrupt:
            print("glo: stopped; nothing was changed.", file=sys.stderr)
            return 130
    for message in messages:
        print(f"{'Warning: ' if message.warning else ''}{message.text}")
    return 0
