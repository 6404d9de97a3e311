"""Validation while training: held-out examples, and their error under the decoder so far."""

import copy
import math
from contextlib import suppress
from dataclasses import replace
from typing import Any, final

import torch

from glo.config.settings import Settings
from glo.data import Dataset, open_source
from glo.errors import UserError
from glo.inversion import InversionOptions, decode_initial_codes, invert
from glo.losses import MSELoss
from glo.runs.training_data import hold_out, source_options
from glo.training.factory import training_loss
from glo.training.state import TrainState
from glo.training.statistics import EpochRecord
from glo.training.validation import (
    MAX_INITIAL_CODES,
    MAX_STEPS,
    Check,
    ValidationRecord,
    check_interval,
    check_rows,
)
from glo.utils.row_ranges import evenly_spaced

__all__ = ["Validation", "held_out_error", "open_validation"]


def open_validation(
    samples: Dataset, settings: Settings, validation: Dataset | None = None
) -> tuple[Dataset, Dataset | None]:
    """Return the training examples and the held-out ones, None where nothing is held out.

    Args:
        samples: examples of the run.
        settings: settings of the run; `validation` is a fraction of `samples`, or a path.
        validation: held-out examples; None: those that the settings name.

    Raises:
        UserError: they cannot be opened, are of another shape, or are the training examples; or too
            few are left for training.
    """
    if validation is None and isinstance(settings.validation, float):
        return hold_out(samples, settings.validation, seed=settings.seed)
    if validation is None and isinstance(settings.validation, str):
        validation = _open(settings.validation, samples, settings)
    if validation is not None:
        _check(samples, validation)
        note = f"The error of {len(validation):,} other examples is measured while training."
        samples = samples.replace(notes=(*samples.notes, note))
    elif settings.patience is not None:
        raise UserError(
            f"patience is {settings.patience}, but no examples are held out; set validation to a "
            f"fraction such as 0.05 or to a path, or leave patience out."
        )
    return samples, validation


def _open(source: str, samples: Dataset, settings: Settings) -> Dataset:
    """Open the held-out examples in the form of the training examples."""
    options = replace(source_options(settings), reading=samples.reading)
    if samples.is_images:
        channels, height, width = samples.shape
        size = height if height == width else None
        options = replace(options, size=size, channels=channels)
    try:
        # The training split of a source with two is most likely what the run trains on.
        return open_source(source, replace(options, split="test"))
    except UserError:
        return open_source(source, options)


def _check(samples: Dataset, validation: Dataset) -> None:
    if validation.shape != samples.shape:
        actual, expected = (" x ".join(map(str, each.shape)) for each in (validation, samples))
        raise UserError(
            f"The validation examples, {validation.name}, are of {actual}, but the training "
            f"examples of {expected}; give validation examples of that shape."
        )
    if validation.fingerprint == samples.fingerprint:
        raise UserError(
            f"The validation examples, {validation.name}, are the training examples themselves; "
            f"give others, or a fraction such as 0.05."
        )


@final
class Validation:
    """Checks of the held-out error of a run, every so many epochs and after the last.

    Args:
        samples: training examples of all processes, standardized.
        held_out: held-out examples, or None: there are no checks.
        settings: settings of the run.

    Attributes:
        held_out: held-out examples, standardized as in training, or None.
        record: last and best check; None before the first.
    """

    def __init__(self, samples: Dataset, held_out: Dataset | None, settings: Settings) -> None:
        self.held_out = None if held_out is None else held_out.standardized(samples.standardizer)
        self.record: ValidationRecord | None = None
        self._n = len(samples)
        self._settings = settings

    def check(self, epoch: EpochRecord, state: TrainState) -> EpochRecord:
        """Return the record of an epoch with the held-out error, measured if a check is due."""
        if self.held_out is None:
            return epoch
        if epoch.epoch % check_interval(self._n, len(self.held_out)) and not state.done:
            return epoch
        check = Check(epoch=epoch.epoch, error=held_out_error(state, self.held_out), mse=epoch.mse)
        self.record = self.record.after(check) if self.record else ValidationRecord.first(check)
        return replace(epoch, validation_mse=check.error)

    @property
    def is_exhausted(self) -> bool:
        """Whether training stops, as `patience` checks brought no improvement."""
        patience = self._settings.patience
        return self.record is not None and patience is not None and self.record.since >= patience

    @property
    def best_step(self) -> int | None:
        """The step of the state that the run ends with; None without `patience`: the last one."""
        if self.record is None or self._settings.patience is None:
            return None
        return self._step(self.record.best)

    @property
    def last_step(self) -> int:
        """The step of the last check, 0 before the first."""
        return self._step(self.record.last) if self.record else 0

    def _step(self, check: Check) -> int:
        return check.epoch * self._settings.steps_per_epoch(self._n)

    def describe(self) -> str:
        """Return a sentence on the last and the best check."""
        assert self.record is not None, "a check was made"
        last, best = self.record.last, self.record.best
        return (
            f"The held-out error was {best.error:.4f} after epoch {best.epoch} and is "
            f"{last.error:.4f} after epoch {last.epoch}; the run ends with epoch {best.epoch}."
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {} if self.record is None else {"validation": self.record.to_dict()}

    def restore(self, facts: dict[str, Any]) -> None:
        """Load the state of a checkpoint; one without checks has none."""
        with suppress(KeyError, TypeError, ValueError):
            self.record = ValidationRecord.from_dict(facts["validation"])

    def summary(self, error: float) -> dict[str, Any]:
        """Return the figures of summary.json, `error` being that of the finished run."""
        assert self.held_out is not None, "examples are held out"
        figures: dict[str, Any] = {"n": len(self.held_out), "mse": error}
        if self.record is not None:
            best = self.record.best
            figures |= {"best_epoch": best.epoch, "best_mse": best.error}
            figures |= {"epochs": self.record.last.epoch}
        return figures


def held_out_error(state: TrainState, validation: Dataset) -> float:
    """Return the mean squared error of held-out examples under the decoder of a state.

    Their codes are found by a short search that begins at the nearest training codes. The decoder
    is in evaluation mode with the running statistics of batch norm; the state is unchanged. Each
    process searches its share of the rows.

    Args:
        state: state of the run, with at least two codes.
        validation: held-out examples, standardized as in training.
    """
    settings, ranks = state.settings, state.ranks
    # A copy: freezing the decoder itself would touch flags that other wrappers of it depend on.
    decoder = copy.deepcopy(state.final_decoder)
    chosen = evenly_spaced(state.n, min(state.n, MAX_INITIAL_CODES))
    codes = ranks.all_gather_rows(state.codes.cpu(), chosen)
    initial = decode_initial_codes(decoder, codes, precision=settings.precision)
    options = InversionOptions(
        loss=training_loss(settings),
        residual_loss=MSELoss(),
        max_steps=MAX_STEPS,
        constraint=settings.constraint,
        precision=settings.precision,
    )
    rows = evenly_spaced(len(validation), check_rows(state.n, len(validation)))
    local = rows[ranks.row_range(len(rows))]
    target, mask = validation.batch(local), validation.observed(local)
    if mask is not None:
        # A row of a table may have no value.
        known = mask.flatten(1).any(1)
        target, mask = target[known], mask[known]
    residuals = torch.zeros(0)
    if len(target):
        residuals = invert(decoder, target, initial, mask=mask, options=options).residuals.cpu()
    sums = torch.stack([residuals.double().sum(), torch.tensor(len(target)).double()])
    total, count = ranks.all_reduce(sums).tolist()
    return total / count if count else math.nan
