"""Progress of a command on standard error: a bar on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, final

from glo.utils.format import format_duration

if TYPE_CHECKING:
    from glo.training.callbacks import Message

_LINE_SECONDS = 1.0


@final
class TaskProgress:
    """Context manager that shows the parts of a command's work, each with its time left."""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("preparing", total=None, left="")
            self._bar.start()
        self._part, self._start, self._first, self._tenth = "", 0.0, 0, 0
        self._last = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, part: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of a part are done."""
        now = time.perf_counter()
        if part != self._part:
            self._part, self._start, self._first, self._tenth = part, now, done, 0
        left = ""
        # The time of units done before the part was first shown is unknown.
        if self._first < done < total:
            seconds = (now - self._start) / (done - self._first) * (total - done)
            left = f"{format_duration(seconds)} left"
        if self._bar is not None:
            self._bar.update(self._task, description=part, completed=done, total=total, left=left)
            return
        # A line for each tenth, at most one a second, and never the same again.
        tenth = 10 * done // max(total, 1)
        if tenth > self._tenth and (done == total or now - self._last > _LINE_SECONDS):
            self._last, self._tenth = now, tenth
            text = f"{part}: {done:,} of {total:,}{', ' if left else ''}{left}"
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar, before other output."""
        if self._bar is not None:
            self._bar.stop()


def show_progress(edit: "Callable[..., list[Message]]") -> int:
    """Run an edit of rows with progress, print its messages and return the exit code.

    `edit` takes `callback` as `glo.workflows.edit_rows.add_rows` does; a signal leaves the run
    unchanged.
    """
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
