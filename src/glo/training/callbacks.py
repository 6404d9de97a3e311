"""Callbacks: hooks that a training run calls, under the names of Lightning and Keras.

A callback is any object with some of the methods of `Callback`; the base class spares the others.
The package's own progress bar, metrics log, previews and TensorBoard writer are callbacks, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from glo.training.statistics import EpochRecord, StepRecord

__all__ = ["Callback", "Message", "call_hook"]


@final
@dataclass(frozen=True, kw_only=True)
class Message:
    """A sentence for the user, or a warning of something wrong."""

    text: str
    warning: bool = False


class Callback:
    """Base class of callbacks, whose hooks do nothing.

    `training` is the `glo.workflows.train.TrainingRun` that calls the hook, with `run`, `state`
    (decoder, codes, optimizers, step), `samples`, `baselines` and `seconds`. Setting
    `training.should_stop = True` stops the run after the present step; it is saved first.

    With several processes hooks are called on the first one only.

    Example:
        >>> class StopEarly(Callback):
        ...     def on_epoch_end(self, training, record):
        ...         training.should_stop = record.mse < 0.01
    """

    def on_train_begin(self, training: Any) -> None:
        """Handle the start of training, new or resumed, before the first step."""

    def on_step(self, training: Any, record: StepRecord) -> None:
        """Handle the end of a training step.

        The loss of `record` and its other properties are on the device; reading them waits for it.
        """

    def on_epoch_end(self, training: Any, record: EpochRecord) -> None:
        """Handle the end of an epoch, after `on_step` of its last step."""

    def on_checkpoint(self, training: Any, folder: Path) -> None:
        """Handle a checkpoint that was written to `folder`."""

    def on_refine(self, training: Any, rows: int) -> None:
        """Handle progress of the refinement: `rows` of N codes are done."""

    def on_fit(self, training: Any, name: str, share: float) -> None:
        """Handle progress after training: `share` of the fit of `name` is done, from 0 to 1."""

    def on_message(self, training: Any, message: Message) -> None:
        """Handle a sentence for the user, such as a diagnosis."""

    def on_train_end(self, training: Any) -> None:
        """Handle the end of the run, finished or stopped."""


def call_hook(callbacks: Iterable[object], hook: str, *args: Any, **kwargs: Any) -> None:
    """Call a hook of each callback that has it, in order."""
    for callback in callbacks:
        method = getattr(callback, hook, None)
        if method is not None:
            method(*args, **kwargs)
