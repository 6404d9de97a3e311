"""What a person sees while a run trains: a live bar on a terminal, plain lines anywhere else."""

import sys
import time
from abc import ABC, abstractmethod
from typing import final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from glo.training.diagnosis import explained_variance
from glo.training.events import Begin, Event, Fitting, Note, Polishing
from glo.training.statistics import EpochRecord, StepRecord
from glo.utils.format import format_duration

__all__ = ["Reporter", "SilentReporter", "make_reporter"]

_LINE_SECONDS = 30.0
# Recent steps weigh more: a machine that others use changes its speed.
_FORGET = 0.98


class Reporter(ABC):
    """Turn events into words and keep the speed."""

    def __init__(self) -> None:
        self._begin: Begin | None = None
        self._rate = 0.0
        self._weight = 0.0
        self._clock = time.perf_counter()

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Begin):
            self._begin = event
            self._clock = time.perf_counter()
            self.line(_greeting(event))
        elif isinstance(event, Note):
            self.line(f"{'Warning: ' if event.warning else ''}{event.sentence}")
        elif isinstance(event, EpochRecord):
            self.line(self._epoch(event))
        elif isinstance(event, StepRecord):
            self._measure(event)
            self.step(event)
        elif isinstance(event, Fitting):
            self.fitting(event)
        else:
            self.polishing(event)

    @abstractmethod
    def line(self, text: str) -> None:
        """Show a line that stays."""

    @abstractmethod
    def step(self, record: StepRecord) -> None:
        """Show that a step was made."""

    @abstractmethod
    def polishing(self, event: Polishing) -> None:
        """Show how far polishing is."""

    @abstractmethod
    def fitting(self, event: Fitting) -> None:
        """Show how far the fit of a prior is."""

    @abstractmethod
    def close(self) -> None:
        """Stop showing."""

    def status(self, record: StepRecord) -> str:
        """Return loss, speed and time left after a step."""
        assert self._begin is not None, "Begin is the first event"
        left = (self._begin.total_steps - record.step) * record.rows / max(self._rate, 1e-9)
        return f"loss {record.loss:.4f}  {self._rate:,.0f} images/s  {format_duration(left)} left"

    def _measure(self, record: StepRecord) -> None:
        now = time.perf_counter()
        speed, self._clock = record.rows / max(now - self._clock, 1e-9), now
        self._weight = _FORGET * self._weight + (1 - _FORGET)
        self._rate += (speed - self._rate) * (1 - _FORGET) / self._weight

    def _epoch(self, record: EpochRecord) -> str:
        begin = self._begin
        assert begin is not None, "Begin is the first event"
        explained = 100 * explained_variance(record.mse, begin.baselines)
        left = (begin.total_steps - record.step) / max(record.step, 1) * record.epoch
        seconds = left * record.rows / max(self._rate, 1e-9) if record.epoch else 0.0
        return (
            f"epoch {record.epoch}/{begin.epochs}  mse {record.mse:.4f}  "
            f"explains {explained:.1f} %  {self._rate:,.0f} images/s  "
            f"{format_duration(seconds)} left"
        )


@final
class SilentReporter(Reporter):
    """Say nothing: another process speaks for all.

    Example:
        >>> SilentReporter().line("heard by nobody")
    """

    def show(self, event: Event) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Show nothing."""

    def step(self, record: StepRecord) -> None:
        """Show nothing."""

    def polishing(self, event: Polishing) -> None:
        """Show nothing."""

    def fitting(self, event: Fitting) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


@final
class PlainReporter(Reporter):
    """Lines for a pipe or a log: one per epoch, and one every half minute in between."""

    def __init__(self) -> None:
        super().__init__()
        self._last = time.perf_counter()

    def line(self, text: str) -> None:
        """Print the line."""
        print(text, flush=True)
        self._last = time.perf_counter()

    def step(self, record: StepRecord) -> None:
        """Print a line when nothing was said for a while."""
        if time.perf_counter() - self._last > _LINE_SECONDS:
            assert self._begin is not None, "Begin is the first event"
            total = self._begin.total_steps
            self.line(f"  step {record.step}/{total}  {self.status(record)}")

    def polishing(self, event: Polishing) -> None:
        """Print the last line, and one when nothing was said for a while."""
        if event.rows == event.n or time.perf_counter() - self._last > _LINE_SECONDS:
            self.line(f"  polished {event.rows:,} of {event.n:,} codes")

    def fitting(self, event: Fitting) -> None:
        """Print the last line, and one when nothing was said for a while."""
        if event.share == 1.0:
            self.line(f"  fitted the {event.prior} prior")
        elif time.perf_counter() - self._last > _LINE_SECONDS:
            self.line(f"  fitting the {event.prior} prior: {event.share:.0%}")

    def close(self) -> None:
        """Do nothing: lines are printed as they come."""


@final
class LiveReporter(Reporter):
    """A progress bar that stays at the bottom of a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}"),
            console=console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("preparing", total=None, status="")
        self._progress.start()

    def line(self, text: str) -> None:
        """Print the line above the bar."""
        style = "yellow" if text.startswith("Warning") else None
        self._progress.console.print(text, style=style, highlight=False, markup=False)

    def step(self, record: StepRecord) -> None:
        """Move the bar."""
        assert self._begin is not None, "Begin is the first event"
        self._progress.update(
            self._task,
            description=f"epoch {record.epoch}/{self._begin.epochs}",
            total=self._begin.total_steps,
            completed=record.step,
            status=self.status(record),
        )

    def polishing(self, event: Polishing) -> None:
        """Move the bar once more from its start."""
        self._progress.update(
            self._task,
            description="polishing codes",
            total=event.n,
            completed=event.rows,
            status=f"{event.rows:,} of {event.n:,}",
        )

    def fitting(self, event: Fitting) -> None:
        """Move the bar once more from its start."""
        self._progress.update(
            self._task,
            description=f"fitting the {event.prior} prior",
            total=1.0,
            completed=event.share,
            status=f"{event.share:.0%}",
        )

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def make_reporter() -> Reporter:
    """Return a live bar where standard output is a terminal, else plain lines."""
    return LiveReporter(Console()) if sys.stdout.isatty() else PlainReporter()


def _greeting(event: Begin) -> str:
    begun = f"going on from step {event.step:,}" if event.step else f"{event.epochs} epochs"
    return (
        f"{event.n:,} examples, {event.parameters:,} weights, {event.total_steps:,} steps, "
        f"{begun}. "
        f"To beat: mean image {event.baselines.mean_image:.4f}, PCA of the same size "
        f"{event.baselines.pca:.4f}."
    )
