"""How far a part of the work is, on standard error: a bar on a terminal, else a line at times."""

import sys
import time
from typing import final

from glo.utils.format import format_duration

__all__ = ["PartReporter"]

_LINE_SECONDS = 30.0


@final
class PartReporter:
    """Show parts of the work one after the other, each with the time that it still takes."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = None
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("preparing", total=None, left="")
            self._bar.start()
        self._part, self._began = "", 0.0
        self._last = time.perf_counter()

    def show(self, part: str, done: int, total: int) -> None:
        """Show that `done` of `total` is behind us."""
        now = time.perf_counter()
        if part != self._part:
            self._part, self._began = part, now
            self._first = done
        left = self._left(now, done, total)
        if self._bar is not None:
            self._bar.update(self._task, description=part, completed=done, total=total, left=left)
        elif done == total or now - self._last > _LINE_SECONDS:
            self._last = now
            text = f"{part}: {done:,} of {total:,}{', ' if left else ''}{left}"
            print(text, file=sys.stderr, flush=True)

    def _left(self, now: float, done: int, total: int) -> str:
        # What was done before the part was first shown took time that is not known.
        if not self._first < done < total:
            return ""
        return (
            f"{format_duration((now - self._began) / (done - self._first) * (total - done))} left"
        )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
