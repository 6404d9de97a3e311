"""Statistics of training: one record per step, one per epoch, and the sums behind them.

A step leaves its numbers on the device, `StepValues` of tensors; those of several steps are read
together, and added to the sums of the epoch in the order of the steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, NamedTuple, TypeVar, final

import torch
from torch import Tensor, nn

from glo.losses import MSELoss
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_ranges import evenly_spaced

# Number of tracked codes: enough for a mean, at negligible cost.
_MAX_TRACKED = 4096
_ROW_TENSORS = ("rows", "first", "codes")


Number = TypeVar("Number", float, Tensor)


class StepValues(NamedTuple, Generic[Number]):
    """Results of a step on this process's share of a batch: tensors (), or floats once read."""

    loss: Number
    """Mean over the rows."""
    decoder_gradient: Number
    """Length of the gradient of all weights; the step is skipped unless it is finite."""
    error: Number
    """Squared error, summed over the rows."""
    code_gradient: Number
    """Squared length of a code's gradient, summed over the rows."""
    code_update: Number
    """Length of the change of a code, summed over the rows."""
    output_mean: Number
    output_std: Number
    faulty: Number
    """Number of rows with a non-finite code, gradient or loss."""


@dataclass(frozen=True, kw_only=True)
class StepNumbers:
    """Numbers of one update that are computed on the device."""

    loss: float
    code_gradient: float
    decoder_gradient: float
    skipped: int


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """Loss, learning rates and gradients of one update.

    With several processes `rows` is the whole batch; `loss` and `code_gradient` are means over this
    process's share of it. The properties are on the device: the first use of one waits for the
    device and reads those of all steps so far.

    Args:
        seconds: duration of the step in this program; a GPU may still work on it.
        read: function that returns the numbers on the device.
    """

    step: int
    epoch: int
    rows: int
    decoder_lr: float
    code_lr: float
    seconds: float
    read: Callable[[], StepNumbers]

    @property
    def loss(self) -> float:
        """Mean loss of the batch, before the update."""
        return self.read().loss

    @property
    def code_gradient(self) -> float:
        """Root mean square, over the batch's rows, of the length of a code's gradient."""
        return self.read().code_gradient

    @property
    def decoder_gradient(self) -> float:
        """Length of the gradient of all weights."""
        return self.read().decoder_gradient

    @property
    def skipped(self) -> int:
        """Number of steps of the run so far that were skipped because of non-finite values."""
        return self.read().skipped

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers by name."""
        values = {name: value for name, value in vars(self).items() if name != "read"}
        return values | asdict(self.read())


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """Means over one pass over the data, and lengths of the changes of codes and weights."""

    epoch: int
    step: int
    rows: int
    loss: float
    """Mean over the examples, each before the update of its step."""
    mse: float
    """Squared error likewise, whatever the loss is; numbers in [-1, 1] for images."""
    code_gradient: float
    """Root mean square of the length of a code's gradient."""
    code_update: float
    """Mean length of one update of a code, before the constraint; each code gets one an epoch."""
    code_step: float
    """Mean distance of a code from its value an epoch before."""
    code_travel: float
    """Mean distance of a code from its initial value."""
    code_norm: float
    """Mean length of a code."""
    decoder_gradient: float
    """Length of the gradient of the weights in the last step."""
    decoder_step: float
    """Length of the change of the weights in this epoch over the length of the weights."""
    output_mean: float
    output_std: float
    """Spread of the last batch's outputs over its examples, root mean square over the numbers."""
    validation_mse: float | None = None
    """Squared error of held-out examples after this epoch; None without a check of it."""

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers by name, without `validation_mse` where there was no check."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@final
class EpochStatistics:
    """Sums over the current epoch, and copies of codes and weights at its start.

    They are saved with a run, so that the record of an interrupted epoch is complete. Up to 4,096
    evenly spaced codes, (N, D), are tracked; with several processes, of the local ones.
    """

    def __init__(self, codes: Tensor, ranks: ProcessGroup = SINGLE_PROCESS) -> None:
        n = len(codes)
        self._ranks = ranks
        self._rows = evenly_spaced(n, min(n, -(-_MAX_TRACKED // ranks.size)))
        self._first = codes[self._rows].clone().cpu()
        self._codes = self._first
        self._weights = torch.zeros(0)
        self._sums = torch.zeros(5, dtype=torch.float64)
        self._output = (0.0, 0.0)
        self.due = False
        """Whether the current epoch has steps without a record."""

    def start_epoch(self, codes: Tensor, decoder: nn.Module) -> None:
        """Reset the sums and copy the codes and weights at the start of an epoch."""
        self._codes = codes[self._rows].cpu()
        self._weights = _flat(decoder)
        self._sums = torch.zeros(5, dtype=torch.float64)

    def add(self, n: int, values: StepValues[float]) -> None:
        """Add one step of n rows to the sums."""
        self.due = True
        sums = [n, n * values.loss, values.error, values.code_gradient, values.code_update]
        self._sums += torch.tensor(sums, dtype=torch.float64)
        self._output = (values.output_mean, values.output_std)

    def record(self, epoch: int, step: int, codes: Tensor, decoder: nn.Module) -> EpochRecord:
        """Return the record of the epoch that just ended, numbered from 1, after `step` updates."""
        self.due = False
        tracked_codes, weights = codes[self._rows].cpu(), _flat(decoder)
        vectors = (tracked_codes - self._codes, tracked_codes - self._first, tracked_codes)
        lengths = torch.stack([each.norm(dim=1).double().sum() for each in vectors])
        count = torch.tensor([len(tracked_codes)], dtype=torch.float64)
        sums = self._ranks.all_reduce(torch.cat([self._sums, lengths, count])).tolist()
        rows, loss, error, squares, updates, steps, travels, norms, tracked = sums
        change, gradient = weights - self._weights, gradient_norm(decoder).cpu()
        decoder_lengths = torch.stack([self._weights.norm(), change.norm(), gradient])
        size, decoder_step, decoder_gradient = decoder_lengths.tolist()
        return EpochRecord(
            epoch=epoch,
            step=step,
            rows=int(rows),
            loss=loss / rows,
            mse=error / rows,
            code_gradient=(squares / rows) ** 0.5,
            code_update=updates / rows,
            code_step=steps / tracked,
            code_travel=travels / tracked,
            code_norm=norms / tracked,
            decoder_gradient=decoder_gradient,
            decoder_step=decoder_step / max(size, 1e-30),
            output_mean=self._output[0],
            output_std=self._output[1],
        )

    def travel(self, codes: Tensor) -> float:
        """Return the mean distance of a code from its initial value."""
        distance = (codes[self._rows].cpu() - self._first).norm(dim=1).double().sum()
        count = distance.new_tensor(len(self._rows))
        total: Tensor = self._ranks.all_reduce(torch.stack([distance, count]))
        return float(total[0] / total[1])

    def keep(self, rows: Tensor) -> None:
        """Stop tracking deleted codes: row rows[i], int64 (n,), ascending, becomes row i."""
        remaining = torch.isin(self._rows, rows)
        self._rows = torch.searchsorted(rows, self._rows[remaining])
        self._first, self._codes = self._first[remaining], self._codes[remaining]

    def tensors(self) -> dict[str, Tensor]:
        """Return the state for a checkpoint, with global row numbers."""
        return {
            "rows": self._ranks.global_rows(self._rows),
            "first": self._first,
            "codes": self._codes,
            # The same on all processes.
            "weights": self._weights if self._ranks.is_main else self._weights[:0],
            "sums": self._sums,
            "output": torch.tensor(self._output, dtype=torch.float64),
            "due": torch.tensor(self.due),
        }

    def restore(self, parts: Sequence[dict[str, Tensor]]) -> None:
        """Load the results of `tensors` of all former processes, on any number of processes."""
        joined = {name: torch.cat([part[name] for part in parts]) for name in _ROW_TENSORS}
        is_local = self._ranks.is_local(joined["rows"])
        self._rows = self._ranks.local_rows(joined["rows"][is_local])
        self._first, self._codes = joined["first"][is_local], joined["codes"][is_local]
        part = parts[0]
        if len(parts) == self._ranks.size:
            # Bitwise equality: sums in another order may differ in the last bit.
            part = parts[self._ranks.rank]
            self._sums = part["sums"]
        else:
            sums = torch.stack([each["sums"] for each in parts]).sum(0)
            # Counted once when they are summed over the processes.
            self._sums = sums if self._ranks.is_main else torch.zeros_like(sums)
        mean, std = part["output"].tolist()
        self._weights, self._output = parts[0]["weights"], (mean, std)
        self.due = bool(parts[0]["due"])


@torch.no_grad()
def step_values(
    output: Tensor,
    target: Tensor,
    observed: Tensor | None,
    losses: Tensor,
    *,
    decoder_gradient: Tensor,
    code_gradients: Tensor,
    code_changes: Tensor,
    faulty: Tensor,
) -> Tensor:
    """Return the `StepValues` of a step as one tensor, (8,), on the device.

    Args:
        output: decoded batch (B, ...).
        target: batch of that shape.
        observed: mask of observed values or None.
        losses: (B,).
        decoder_gradient: length of the gradient of all weights, ().
        code_gradients: (B, D).
        code_changes: (B, D).
        faulty: bool (B,).
    """
    values = StepValues(
        loss=losses.mean(),
        decoder_gradient=decoder_gradient,
        error=MSELoss()(output, target, observed).sum(),
        code_gradient=code_gradients.square().sum(),
        code_update=code_changes.norm(dim=1).sum(),
        output_mean=output.mean(),
        output_std=output.std(0, correction=0).square().mean().sqrt(),
        faulty=faulty.sum(),
    )
    return torch.stack([value.to(output.device) for value in values])


def gradient_norm(decoder: nn.Module) -> Tensor:
    """Return the norm of the weights' gradients in the last step, ()."""
    gradients = [p.grad for p in decoder.parameters() if p.grad is not None]
    return torch.stack([g.norm() for g in gradients]).norm() if gradients else torch.zeros(())


def _flat(decoder: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in decoder.parameters()]).cpu()
