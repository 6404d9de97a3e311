"""The joint loop: decoder and codes learn together by reconstruction, one batch at a time.

The objective of GLO (Bojanowski et al., ICML 2018, equation 1) is

    min over theta  1/N  sum over i  min over z_i in Z  loss(g_theta(z_i), x_i)

a sum of N separate problems, one per code, under a shared decoder. So a code's gradient is that of
its own loss and is not divided by the batch size, while the decoder's is the mean over the batch.

`TrainState` is all that a run is: weights, codes, what both optimisers remember, and the number of
the next step. `train` advances it and yields a record per step and per epoch; who calls it logs,
draws and saves. Data order is a function of (seed, epoch) and nothing else is random, so a
`TrainState` restored from disk goes on exactly as if it had never stopped.

Several processes train one run: each has its own rows of data and codes, all have the decoder, and
the mean of its gradient over the processes is all that they exchange in a step.

A loss or a gradient that is not finite moves nothing: the step is left out and counted, and the
codes that brought it begin anew.
"""

import inspect
import math
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from glo.config.settings import Settings
from glo.data import Dataset
from glo.data.loader import read
from glo.data.sampler import EpochSampler
from glo.decoders import Decoder, build_decoder
from glo.errors import UserError
from glo.latents.init import PCA, pca_codes
from glo.latents.table import LatentCodes
from glo.training.factory import (
    code_optimizer_rule,
    decoder_config,
    store_standardizer,
    training_loss,
)
from glo.training.optim import decoder_optimizer
from glo.training.schedule import lr_factor
from glo.training.statistics import EpochRecord, EpochStatistics, StepRecord, gradient_norm
from glo.utils.compilation import compiled
from glo.utils.device import autocast, channels_last, find_device
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.random import normal
from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["TrainState", "TrainingDiverged", "init_train_state", "train"]


# Steps that may be left out one after the other, and in all: a broken file costs a few, a rate that
# is too large all that follow.
MAX_CONSECUTIVE_SKIPS = 10
MAX_SKIPS = 1000
_BLOCK = 2**16
# torch 2.13 gave the argument a name of its own, and warns of the old one.
_KNOWN = inspect.signature(DistributedDataParallel).parameters
_SYNC = "forward_sync_buffers" if "forward_sync_buffers" in _KNOWN else "broadcast_buffers"
_OWN_BUFFERS: dict[str, Any] = {_SYNC: False}


class TrainingDiverged(UserError):
    """Steps keep coming out NaN or infinite: what the run holds is no longer worth saving."""


@final
class TrainState:
    """All that changes while a run trains; see `init_train_state`.

    Attributes:
        decoder: the network, on the device, in training mode between epochs.
        optimizer: of the decoder's weights.
        table: the codes and their optimiser state.
        averaged: averaged decoder, or None.
        network: the decoder as the loop calls it: compiled, or with several processes what also
            sums gradients.
        step: number of steps made so far.
        skipped: how many of them were left out, as something in them was not finite.
        skipped_in_a_row: how many just now.
        tally: sums over the present epoch, for its record.
        ranks: the processes of the run.
        shards: S, how the rows are dealt in the order of an epoch; see `glo.data.sampler`.
    """

    def __init__(
        self,
        settings: Settings,
        decoder: Decoder,
        table: LatentCodes,
        *,
        n: int | None = None,
        ranks: ProcessGroup = SINGLE_PROCESS,
        shards: int | None = None,
    ) -> None:
        self.settings = settings
        self.ranks = ranks
        self.shards = shards or settings.shards or ranks.size
        self._n = n
        self.device = find_device(settings.device)
        self.decoder = channels_last(decoder.to(self.device))
        self.table = table
        self.optimizer = decoder_optimizer(settings, decoder)
        self.averaged: AveragedModel | None = None
        if settings.ema_decay:
            rule = get_ema_multi_avg_fn(settings.ema_decay)
            self.averaged = AveragedModel(decoder, multi_avg_fn=rule, use_buffers=True)
        self.step = 0
        self.skipped = 0
        self.skipped_in_a_row = 0
        self.tally = EpochStatistics(table.codes, ranks)

    @cached_property
    def network(self) -> nn.Module:
        """The decoder, compiled if asked for, its gradients summed over the processes."""
        if self.ranks.size == 1:
            return compiled(self.decoder) if self.settings.compile else self.decoder
        # Statistics of batch norm stay each process's own; they are settled anew at the end.
        return DistributedDataParallel(self.decoder, **_OWN_BUFFERS)

    @property
    def n(self) -> int:
        """N, the number of examples of all processes."""
        return len(self.table) if self._n is None else self._n

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the data."""
        return self.settings.steps_per_epoch(self.n)

    @property
    def total_steps(self) -> int:
        """Updates in the whole run."""
        return self.steps_per_epoch * self.settings.epochs_for(self.n)

    @property
    def done(self) -> bool:
        """Whether every update has been made."""
        return self.step >= self.total_steps

    @property
    def finished_decoder(self) -> Decoder:
        """The decoder to use: the averaged one where there is one."""
        decoder = self.decoder if self.averaged is None else self.averaged.module
        assert isinstance(decoder, Decoder), "an average of a decoder is a decoder"
        return decoder


def init_train_state(
    samples: Dataset,
    settings: Settings,
    pca: PCA,
    *,
    n: int | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
    store: RowStore = IN_MEMORY,
    own: type[Decoder] | None = None,
) -> TrainState:
    """Build the decoder and the initial codes of a new run.

    Args:
        samples: the data, N rows; with several processes this one's.
        settings: the recipe.
        pca: principal components of the data, for codes that start there.
        n: rows of all processes; those of `samples` when omitted.
        ranks: the processes.
        store: where codes and moments lie.
        own: the class of a decoder that is none of this package.

    Returns:
        a Training at step 0.

    Raises:
        UserError: the decoder cannot make examples of this shape, or a device is missing.

    Example:
        >>> import numpy as np
        >>> from glo.latents.init import fit_pca
        >>> pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 1), dtype="uint8")
        >>> samples = Dataset(rows=pixels, name="noise")
        >>> settings = Settings(code_dim=2, width=4, epochs=1)
        >>> init_train_state(samples, settings, fit_pca(samples, 2)).table.codes.shape
        torch.Size([4, 2])
    """
    dim = settings.code_dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        decoder = build_decoder(decoder_config(samples, settings, own), own)
    store_standardizer(decoder, samples)
    codes = store.zeros("codes", (len(samples), dim), torch.float32)
    if settings.init == "pca":
        pca_codes(samples, pca, dim, seed=settings.seed, ranks=ranks, into=codes)
    else:
        _gaussian_codes(codes, settings, ranks)
    table = LatentCodes.begin(codes, code_optimizer_rule(settings), settings.constraint, store)
    return TrainState(settings, decoder, table, n=n, ranks=ranks)


def _gaussian_codes(codes: Tensor, settings: Settings, ranks: ProcessGroup) -> None:
    n, dim = codes.shape
    for rows in torch.arange(n).split(_BLOCK):
        start = int(ranks.numbers(rows[0]))
        drawn = normal(settings.seed, start, len(rows), dim, stream="codes", every=ranks.size)
        torch.mul(drawn, settings.gaussian_std, out=codes[int(rows[0]) : int(rows[-1]) + 1])


def train(training: TrainState, samples: Dataset) -> Iterator[StepRecord | EpochRecord]:
    """Advance `training` to its end, yielding a record after every step and every epoch.

    The caller may stop at any record and go on later, with the same object or with one restored
    from disk: the numbers are the same as without the stop.

    Args:
        training: where the run stands; changed in place.
        samples: the data; row i belongs to code i.

    Raises:
        Diverged: too many steps were not finite; go back to the last checkpoint.

    Example:
        >>> import numpy as np
        >>> from glo.latents.init import fit_pca
        >>> rng = np.random.default_rng(0)
        >>> samples = Dataset(rows=rng.integers(0, 255, (6, 8, 8, 1), dtype="uint8"), name="noise")
        >>> settings = Settings(code_dim=2, width=4, epochs=2, batch_size=4)
        >>> training = init_train_state(samples, settings, fit_pca(samples, 2))
        >>> [type(record).__name__ for record in train(training, samples)][:3]
        ['StepRecord', 'StepRecord', 'EpochRecord']
    """
    settings, table, decoder = training.settings, training.table, training.decoder
    network, ranks = training.network, training.ranks
    loss_of = training_loss(settings)
    per_epoch = training.steps_per_epoch

    while True:
        epoch, first = divmod(training.step, per_epoch)
        # Due also when the caller stopped between the last step of an epoch and its record.
        if first == 0 and training.tally.due:
            yield training.tally.record(epoch, training.step, table.codes, decoder)
        if training.done:
            return
        # The epoch's order, from the seed and the number of the epoch.
        if first == 0:
            training.tally.start_epoch(table.codes, decoder)
        order = EpochSampler(training.n, epoch, settings, training.shards, ranks)

        began = time.perf_counter()
        mine = (order.batch(each) for each in range(first, per_epoch))
        batches = read(samples, mine, table.store)
        for position, (rows, target, observed) in enumerate(batches, first):
            # A caller may have evaluated the decoder since the last record.
            decoder.train()
            # Data and codes of this batch's rows. A process that has none of a last, small batch
            # takes part with its first row, which counts nothing.
            whole, idle = order.size(position), len(rows) == 0
            if idle:
                rows = torch.zeros(1, dtype=torch.int64)
                target, observed = samples.batch(rows), samples.observed(rows)
            target = target.to(training.device)
            observed = None if observed is None else observed.to(training.device)
            codes = table.gather(rows)

            # Decode and compare.
            with autocast(training.device, settings.precision):
                output = network(codes.to(training.device))
            losses = loss_of(output, target, observed)

            # One backward pass of the mean over the whole batch gives both gradients; the processes
            # take the mean of theirs. A row's own is B times that.
            loss = losses.sum() * (0 if idle else ranks.size) / whole
            training.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            assert codes.grad is not None, "codes are a leaf of the loss"
            scale = 1 if settings.code_grad_reduction == "mean" else whole
            gradient = codes.grad * (scale / ranks.size)
            factor = lr_factor(training.step, training.total_steps, settings)

            # What is not finite moves nothing. The decoder's gradient is the same on all processes,
            # and so is what they decide.
            usable = math.isfinite(gradient_norm(decoder))
            astray = _astray(codes, losses, gradient, usable=usable)
            moved = torch.zeros_like(gradient)
            if usable:
                training.skipped_in_a_row = 0
                for group in training.optimizer.param_groups:
                    group["lr"] = settings.decoder_lr * factor
                training.optimizer.step()
                if training.averaged is not None:
                    training.averaged.update_parameters(decoder)
                if not idle:
                    gradient[astray] = 0.0
                    code_lr = settings.code_lr * factor
                    moved = table.update(
                        rows, gradient, code_lr, keep=settings.project_every == "step"
                    )
            else:
                _count_skipped(training)
            if bool(astray.any()) and not idle:
                _restart(training, rows[astray])
            training.step += 1

            # Count and report.
            value, code_gradient = float(losses.detach().mean()), 0.0
            if usable and not idle:
                output = output.detach()
                code_gradient = training.tally.add(output, target, observed, value, gradient, moved)
            done = StepRecord(
                step=training.step,
                epoch=epoch + 1,
                rows=whole,
                loss=value,
                decoder_lr=settings.decoder_lr * factor,
                code_lr=settings.code_lr * factor,
                code_gradient=code_gradient,
                skipped=training.skipped,
                seconds=time.perf_counter() - began,
            )
            # All of the step before it is told: a caller may save at any record and stop there.
            if settings.project_every == "epoch" and position + 1 == per_epoch:
                table.project_all()
            yield done
            began = time.perf_counter()


def _astray(codes: Tensor, losses: Tensor, gradient: Tensor, *, usable: bool) -> Tensor:
    """Return which rows of a batch brought something that is not finite, bool (B,)."""
    lost = ~codes.detach().isfinite().all(dim=1)
    if bool(lost.any()):
        # Batch norm spreads one such code over the whole batch.
        return lost
    if usable:
        return ~gradient.isfinite().all(dim=1)
    return ~losses.detach().isfinite().cpu()


def _restart(training: TrainState, rows: Tensor) -> None:
    """Let codes begin anew where the seed throws them; rows are this process's."""
    ranks, dim = training.ranks, training.settings.code_dim
    numbers = (rows * ranks.size + ranks.rank).tolist()
    drawn = [normal(training.settings.seed, row, 1, dim, stream="codes") for row in numbers]
    training.table.restart(rows, torch.cat(drawn) / dim**0.5)


def _count_skipped(training: TrainState) -> None:
    training.skipped += 1
    training.skipped_in_a_row += 1
    in_a_row, settings = training.skipped_in_a_row, training.settings
    if in_a_row < MAX_CONSECUTIVE_SKIPS and training.skipped < MAX_SKIPS:
        return
    counted = f"{in_a_row} in a row" if in_a_row >= MAX_CONSECUTIVE_SKIPS else f"{training.skipped}"
    raise TrainingDiverged(
        f"The loss or a gradient was NaN or infinite in too many steps ({counted}, the last being "
        f"step {training.step}): the learning rates are too large for this decoder, or the data "
        f"hold numbers that are; lower decoder_lr ({settings.decoder_lr:g}) or code_lr "
        f"({settings.code_lr:g}), or look at the data."
    )
