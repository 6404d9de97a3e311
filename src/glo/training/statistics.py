"""What the training loop reports: one record per step, one per epoch, and the sums behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from glo.losses import MSELoss
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_ranges import evenly_spaced

__all__ = ["EpochRecord", "EpochStatistics", "StepRecord", "gradient_norm"]

# Codes whose way is followed: enough for a mean, too few to cost anything.
_TRACKED = 4096
_OF_ROWS = ("rows", "first", "codes")


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One update: what it cost and how large the codes' gradients were.

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
    """Steps of the run so far that were left out, as something in them was not finite."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One pass over the data: means over it, and how far everything moved."""

    epoch: int
    step: int
    rows: int
    loss: float
    """Mean over the examples seen, each before the update of its step."""
    mse: float
    """Squared error likewise, whatever the loss is; numbers in [-1, 1] for images."""
    code_gradient: float
    """Root mean square of the length of a code's gradient."""
    code_update: float
    """Mean length of one update of a code, before the constraint; each code gets one an epoch."""
    code_step: float
    """Mean distance of a code from where it was an epoch before."""
    code_travel: float
    """Mean distance of a code from where it began."""
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
    """Sums over the present epoch, and copies of codes and weights from before it.

    It is saved with a run, so that an epoch interrupted anywhere still gets a whole record.

    Args:
        codes: the (N, D) initial codes, of which up to 4,096 evenly spaced are followed; with
            several processes this one's.
        ranks: the processes, over whose rows a record is summed.

    Example:
        >>> statistics = EpochStatistics(torch.zeros(10, 2))
        >>> statistics.start_epoch(torch.ones(10, 2), nn.Linear(2, 1))
        >>> statistics.tensors()["rows"].shape
        torch.Size([10])
    """

    def __init__(self, codes: Tensor, ranks: ProcessGroup = SINGLE_PROCESS) -> None:
        n = len(codes)
        self._ranks = ranks
        self._rows = evenly_spaced(n, min(n, -(-_TRACKED // ranks.size)))
        self._first = codes[self._rows].clone().cpu()
        self._codes = self._first
        self._weights = torch.zeros(0)
        self._sums = torch.zeros(5, dtype=torch.float64)
        self._output = torch.zeros(2, dtype=torch.float64)
        self._due = torch.tensor(False)

    @property
    def due(self) -> bool:
        """Whether steps were counted of which no record was made yet."""
        return bool(self._due)

    def start_epoch(self, codes: Tensor, decoder: nn.Module) -> None:
        """Begin the sums anew and remember where codes and weights are."""
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
        """Count one step and return the root mean square length of its codes' gradients.

        Args:
            output: (B, *shape), what the decoder made.
            target: (B, *shape), what it should have made.
            observed: 1 where the target is known, or None.
            loss: mean loss of the batch.
            gradient: (B, D).
            change: (B, D), what the update added to the codes.
        """
        n = len(output)
        error = float(MSELoss()(output, target, observed).sum())
        squares = float(gradient.square().sum())
        moved = float(change.norm(dim=1).sum())
        self._due = torch.tensor(True)
        self._sums += torch.tensor([n, n * loss, error, squares, moved], dtype=torch.float64)
        spread = output.std(0, correction=0).square().mean().sqrt()
        self._output = torch.tensor([float(output.mean()), float(spread)], dtype=torch.float64)
        return float((squares / n) ** 0.5)

    def record(self, epoch: int, step: int, codes: Tensor, decoder: nn.Module) -> EpochRecord:
        """Return the record of the epoch that just ended.

        Args:
            epoch: its number, from 1.
            step: updates made so far.
            codes: (N, D), the codes now.
            decoder: the decoder now.
        """
        self._due = torch.tensor(False)
        now, weights = codes[self._rows].cpu(), _flat(decoder)
        step_length, norm = (now - self._codes).norm(dim=1), now.norm(dim=1)
        followed = torch.stack([step_length.double().sum(), norm.double().sum()])
        count = torch.tensor([len(now)], dtype=torch.float64)
        sums = self._ranks.all_reduce(torch.cat([self._sums, followed, count])).tolist()
        rows, loss, error, squares, moved, stepped, length, tracked = sums
        size = float(self._weights.norm())
        return EpochRecord(
            epoch=epoch,
            step=step,
            rows=int(rows),
            loss=loss / rows,
            mse=error / rows,
            code_gradient=(squares / rows) ** 0.5,
            code_update=moved / rows,
            code_step=stepped / tracked,
            code_travel=self.travel(codes),
            code_norm=length / tracked,
            decoder_gradient=gradient_norm(decoder),
            decoder_step=float((weights - self._weights).norm()) / max(size, 1e-30),
            output_mean=float(self._output[0]),
            output_std=float(self._output[1]),
        )

    def travel(self, codes: Tensor) -> float:
        """Return the mean distance of a code from where it began."""
        way = (codes[self._rows].cpu() - self._first).norm(dim=1).double().sum()
        count = way.new_tensor(len(self._rows))
        total: Tensor = self._ranks.all_reduce(torch.stack([way, count]))
        return float(total[0] / total[1])

    def keep(self, rows: Tensor) -> None:
        """Follow only codes that stay.

        Args:
            rows: int64 (n,), rising: row rows[i] becomes row i, and all others go.
        """
        stays = torch.isin(self._rows, rows)
        self._rows = torch.searchsorted(rows, self._rows[stays])
        self._first, self._codes = self._first[stays], self._codes[stays]

    def tensors(self) -> dict[str, Tensor]:
        """Return everything a stopped run needs to go on counting, rows by their number in it."""
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
        """Take up what `tensors` gave, of every process that there was; there may be others now."""
        joined = {name: torch.cat([part[name] for part in parts]) for name in _OF_ROWS}
        own = self._ranks.is_local(joined["rows"])
        self._rows = self._ranks.local_rows(joined["rows"][own])
        self._first, self._codes = joined["first"][own], joined["codes"][own]
        part = parts[0]
        if len(parts) == self._ranks.size:
            # To the bit: added up in another order they may differ in the last one.
            part = parts[self._ranks.rank]
            self._sums = part["sums"]
        else:
            sums = torch.stack([each["sums"] for each in parts]).sum(0)
            # Counted once when they are summed over the processes.
            self._sums = sums if self._ranks.is_main else torch.zeros_like(sums)
        self._weights, self._output = parts[0]["weights"], part["output"]
        self._due = parts[0]["due"]


def gradient_norm(decoder: nn.Module) -> float:
    """Return the length of the gradient that the last step left on the weights."""
    gradients = [p.grad for p in decoder.parameters() if p.grad is not None]
    return float(torch.stack([g.norm() for g in gradients]).norm()) if gradients else 0.0


def _flat(decoder: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in decoder.parameters()]).cpu()
