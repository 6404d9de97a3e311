"""Statistics of training: one record per step, one per epoch, and the sums behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from glo.losses import MSELoss
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_ranges import evenly_spaced

# Number of tracked codes: enough for a mean, at negligible cost.
_MAX_TRACKED = 4096
_ROW_TENSORS = ("rows", "first", "codes")


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """Loss, learning rates and gradient of one update.

    With several processes `rows` is the whole batch; `loss` and `code_gradient` are means over this
    process's share of it.
    """

    step: int
    epoch: int
    rows: int
    loss: float
    decoder_lr: float
    code_lr: float
    code_gradient: float
    """Root mean square, over the batch's rows, of the length of a code's gradient."""
    skipped: int
    """Number of steps of the run so far that were skipped because of non-finite values."""
    seconds: float


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
        self._output = torch.zeros(2, dtype=torch.float64)
        self._due = torch.tensor(False)

    @property
    def due(self) -> bool:
        """Whether the current epoch has steps without a record."""
        return bool(self._due)

    def start_epoch(self, codes: Tensor, decoder: nn.Module) -> None:
        """Reset the sums and copy the codes and weights at the start of an epoch."""
        self._codes = codes[self._rows].cpu()
        self._weights = _flat(decoder)
        self._sums = torch.zeros(5, dtype=torch.float64)

    @torch.no_grad()
    def add(
        self,
        output: Tensor,
        target: Tensor,
        observed: Tensor | None,
        loss: float,
        gradient: Tensor,
        change: Tensor,
    ) -> float:
        """Add one step to the sums; `gradient` and `change` of the codes are (B, D).

        Returns:
            root mean square length of the codes' gradients.
        """
        n = len(output)
        error = float(MSELoss()(output, target, observed).sum())
        squares = float(gradient.square().sum())
        change_norm = float(change.norm(dim=1).sum())
        self._due = torch.tensor(True)
        self._sums += torch.tensor([n, n * loss, error, squares, change_norm], dtype=torch.float64)
        spread = output.std(0, correction=0).square().mean().sqrt()
        self._output = torch.tensor([float(output.mean()), float(spread)], dtype=torch.float64)
        return float((squares / n) ** 0.5)

    def record(self, epoch: int, step: int, codes: Tensor, decoder: nn.Module) -> EpochRecord:
        """Return the record of the epoch that just ended, numbered from 1, after `step` updates."""
        self._due = torch.tensor(False)
        tracked_codes, weights = codes[self._rows].cpu(), _flat(decoder)
        step_length, norm = (tracked_codes - self._codes).norm(dim=1), tracked_codes.norm(dim=1)
        lengths = torch.stack([step_length.double().sum(), norm.double().sum()])
        count = torch.tensor([len(tracked_codes)], dtype=torch.float64)
        sums = self._ranks.all_reduce(torch.cat([self._sums, lengths, count])).tolist()
        rows, loss, error, squares, updates, steps, norms, tracked = sums
        size = float(self._weights.norm())
        return EpochRecord(
            epoch=epoch,
            step=step,
            rows=int(rows),
            loss=loss / rows,
            mse=error / rows,
            code_gradient=(squares / rows) ** 0.5,
            code_update=updates / rows,
            code_step=steps / tracked,
            code_travel=self.travel(codes),
            code_norm=norms / tracked,
            decoder_gradient=gradient_norm(decoder),
            decoder_step=float((weights - self._weights).norm()) / max(size, 1e-30),
            output_mean=float(self._output[0]),
            output_std=float(self._output[1]),
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
            "output": self._output,
            "due": self._due,
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
        self._weights, self._output = parts[0]["weights"], part["output"]
        self._due = parts[0]["due"]


def gradient_norm(decoder: nn.Module) -> float:
    """Return the norm of the weights' gradients in the last step."""
    gradients = [p.grad for p in decoder.parameters() if p.grad is not None]
    return float(torch.stack([g.norm() for g in gradients]).norm()) if gradients else 0.0


def _flat(decoder: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in decoder.parameters()]).cpu()
