"""Progress of a training run: a live bar on a terminal, plain lines anywhere else."""

import sys
import time
from typing import Any, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from glo.training.callbacks import Callback, Message
from glo.training.diagnosis import Baselines, explained_variance
from glo.training.statistics import EpochRecord, StepRecord
from glo.utils.format import format_duration

__all__ = ["ProgressBar"]

_LINE_SECONDS = 30.0
_STATUS_SECONDS = 1.0
# Decay of the running mean of the speed, which varies on a shared machine.
_DECAY = 0.98


@final
class ProgressBar(Callback):
    """Callback that shows loss, speed and time left, epochs, and messages.

    Where standard output is a terminal a bar stays at its bottom; else lines are printed, one per
    epoch and one every half minute in between.

    Args:
        console: rich console of the bar; None: standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._speed, self._last_line = _Speed(), time.perf_counter()
        self._last_status = 0.0
        self._bar: Progress | None = None
        if console is not None or sys.stdout.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}"),
                console=console or Console(), transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("preparing", total=None, status="")
            self._bar.start()

    def on_train_begin(self, training: Any) -> None:
        """Print decisions about the data, sizes of the run and its baselines."""
        for note in training.samples.notes:
            self.line(f"Note: {note}")
        state, baselines = training.state, training.baselines
        self._baselines: Baselines = baselines
        self._epochs = state.settings.epochs_for(state.n)
        self._total = state.total_steps
        self._n = state.n
        parameters = sum(p.numel() for p in state.decoder.parameters())
        self._noun = "image" if training.run.is_images else "example"
        start = f"resumed at step {state.step:,}" if state.step else f"{self._epochs} epochs"
        self.line(
            f"{state.n:,} examples, {parameters:,} weights, {self._total:,} steps, {start}. "
            f"Baselines: mean {self._noun} {baselines.mean_image:.4f}, PCA of the same size "
            f"{baselines.pca:.4f}."
        )
        self._speed = _Speed()

    def on_step(self, training: Any, record: StepRecord) -> None:
        """Update loss, speed and time left, at most once a second."""
        self._speed.add(record.rows)
        now = time.perf_counter()
        wait = self._last_line + _LINE_SECONDS
        if self._bar is not None:
            wait = self._last_status + _STATUS_SECONDS
        # Not more often: reading the loss waits for the device.
        if now <= wait:
            return
        self._last_status = now
        left = (self._total - record.step) * record.rows / max(self._speed.rate, 1e-9)
        status = f"loss {record.loss:.4f}  {self._rate}  {format_duration(left)} left"
        self._update(f"epoch {record.epoch}/{self._epochs}", record.step, self._total, status)

    def on_epoch_end(self, training: Any, record: EpochRecord) -> None:
        """Print a line for the epoch."""
        explained = 100 * explained_variance(record.mse, self._baselines)
        steps_left = (self._total - record.step) / max(record.step, 1) * record.epoch
        seconds = steps_left * record.rows / max(self._speed.rate, 1e-9) if record.epoch else 0.0
        held_out = ""
        if record.validation_mse is not None:
            held_out = f"held out {record.validation_mse:.4f}  "
        self.line(
            f"epoch {record.epoch}/{self._epochs}  mse {record.mse:.4f}  {held_out}"
            f"explains {explained:.1f} %  {self._rate}  "
            f"{format_duration(seconds)} left"
        )

    def on_refine(self, training: Any, rows: int) -> None:
        """Show how many codes are refined."""
        status = f"{rows:,} of {self._n:,}"
        self._update("refining codes", rows, self._n, status)

    def on_fit(self, training: Any, name: str, share: float) -> None:
        """Show which share of a fit after training is done."""
        self._show_fit(name, share)

    def on_message(self, training: Any, message: Message) -> None:
        """Print a sentence."""
        self.line(f"{'Warning: ' if message.warning else ''}{message.text}")

    def on_train_end(self, training: Any) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def line(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        self._last_line = time.perf_counter()
        if self._bar is None:
            print(text, flush=True)
        else:
            style = "yellow" if text.startswith("Warning") else None
            self._bar.console.print(text, style=style, highlight=False, markup=False)

    @property
    def _rate(self) -> str:
        return f"{self._speed.rate:,.0f} {self._noun}s/s"

    def _show_fit(self, name: str, share: float) -> None:
        self._update(f"fitting the {name}", round(100 * share), 100, f"{share:.0%}")

    def _update(self, name: str, done: int, total: int, status: str) -> None:
        if self._bar is not None:
            self._bar.update(
                self._task, description=name, completed=done, total=total, status=status
            )
        # The last step of an epoch has a line of its own.
        elif (done == total and not name.startswith("epoch")) or (
            time.perf_counter() - self._last_line > _LINE_SECONDS
        ):
            self.line(f"  {name}: {status}")


@final
class _Speed:
    """Running mean of rows per second, with more weight on recent steps."""

    def __init__(self) -> None:
        self.rate, self._weight, self._time = 0.0, 0.0, time.perf_counter()

    def add(self, rows: int) -> None:
        now = time.perf_counter()
        speed, self._time = rows / max(now - self._time, 1e-9), now
        self._weight = _DECAY * self._weight + (1 - _DECAY)
        self.rate += (speed - self.rate) * (1 - _DECAY) / self._weight
