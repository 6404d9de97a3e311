"""Joint training of decoder and codes by reconstruction, one batch at a time.

The objective of GLO (Bojanowski et al., ICML 2018, equation 1) is

    min over theta  1/N  sum over i  min over z_i in Z  loss(g_theta(z_i), x_i)

a sum of N separate problems, one per code, under a shared decoder. So the gradient of a code is
that of its own loss and is not divided by the batch size, while the decoder's gradient is the mean
over the batch.

`train` advances a `TrainState` and yields a record per step and per epoch; logging, pictures and
checkpoints are the caller's. The data order is a function of (seed, epoch) and nothing else is
random, so a state restored from disk continues bit for bit.

With several processes each owns rows of data and codes, and all have the decoder. A step
all-reduces the decoder's gradients only; per-row state is never communicated.

A step reads nothing back from the device. Steps with a non-finite loss or gradient are skipped
there, by masks, and counted when their results are read, every 25 steps and at the end of an epoch;
the codes that caused them are then re-initialized.
"""

import math
import time
from collections.abc import Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from glo.data import Dataset
from glo.data.loader import BatchLoader
from glo.data.sampler import EpochSampler
from glo.errors import UserError
from glo.training.factory import training_loss
from glo.training.optim import ChainedOptimizer
from glo.training.schedule import lr_factor
from glo.training.state import TrainState, UnreadStep
from glo.training.statistics import (
    EpochRecord,
    StepNumbers,
    StepRecord,
    StepValues,
    gradient_norm,
    step_values,
)
from glo.utils.device import autocast, to_device
from glo.utils.torch_defaults import with_torch_defaults

# Steps between two readings of results.
READ_EVERY = 25
# A broken file costs a few skipped steps, a learning rate that is too large all that follow.
MAX_CONSECUTIVE_SKIPS = 10
MAX_SKIPS = 1000


class TrainingDiverged(UserError):
    """Too many steps have a non-finite loss or gradient: the state is no longer worth saving."""


@with_torch_defaults
def train(training: TrainState, samples: Dataset) -> Iterator[StepRecord | EpochRecord]:
    """Advance `training` to its end, yielding a record after every step and every epoch.

    The caller may stop at any record and continue later, with the same object or with one restored
    from disk: the numbers are the same as without the stop. Row i of `samples` belongs to code i.

    Example:
        >>> import numpy as np
        >>> from glo.config.settings import Settings
        >>> from glo.latents.init import fit_pca
        >>> from glo.training.state import init_train_state
        >>> rng = np.random.default_rng(0)
        >>> samples = Dataset(rows=rng.integers(0, 255, (6, 8, 8, 1), dtype="uint8"), name="noise")
        >>> settings = Settings(code_dim=2, width=4, epochs=2, batch_size=4)
        >>> training = init_train_state(samples, settings, fit_pca(samples, 2))
        >>> [type(record).__name__ for record in train(training, samples)][:3]
        ['StepRecord', 'StepRecord', 'EpochRecord']
    """
    decoder, statistics = training.decoder, training.statistics
    loader = BatchLoader(samples, training.device, training.store)
    with training.rows_on_device():
        while True:
            epoch, first = divmod(training.step, training.steps_per_epoch)
            # Due also after a stop between the last step of an epoch and its record.
            if first == 0 and statistics.due:
                yield statistics.record(epoch, training.step, training.codes, decoder)
            if training.done:
                return
            if first == 0:
                statistics.start_epoch(training.codes, decoder)
            yield from _epoch(training, loader, epoch, first)


def _epoch(
    training: TrainState, loader: BatchLoader, epoch: int, first: int
) -> Iterator[StepRecord]:
    """Make the steps of an epoch, numbered from 0, from its step `first` on."""
    settings, latents, decoder = training.settings, training.latents, training.decoder
    network, ranks = training.network, training.ranks
    loss_of = training_loss(settings)
    per_epoch = training.steps_per_epoch
    order = EpochSampler(
        training.n,
        settings.batch_size,
        seed=settings.seed,
        epoch=epoch,
        shuffle=settings.shuffle,
        shuffle_buffer=settings.shuffle_buffer,
        shards=training.shards,
        group=ranks,
    )
    began = time.perf_counter()
    batches = loader.batches(order.batch(each) for each in range(first, per_epoch))
    for position, (rows, target, observed) in enumerate(batches, first):
        # The caller may have evaluated the decoder since the last record.
        decoder.train()
        # 1. Data and codes of the batch. A process without rows of a last, small batch takes part
        # with its first row, which has weight zero.
        batch_size, idle = order.size(position), len(rows) == 0
        if idle:
            rows, target, observed = loader.batch(torch.zeros(1, dtype=torch.int64))
        rows = to_device(rows, training.row_device)
        with torch.no_grad():
            codes = latents(rows)
        buffers = [buffer.clone() for buffer in decoder.buffers()]

        # 2. Decode and compare. The loss is the mean over the batch of all processes, which average
        # their gradients; the gradient of a code is that of its own loss.
        inputs = codes.detach().to(training.device).requires_grad_()
        with autocast(training.device, settings.precision):
            output = network(inputs)
        losses = loss_of(output, target, observed)
        loss = losses.sum() * (0 if idle else ranks.size) / batch_size

        # 3. One backward pass gives both gradients. That of the codes is of the batch alone: no
        # cost grows with N.
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        assert inputs.grad is not None, "the codes took part in the loss"
        own = 1 if settings.code_grad_reduction == "mean" else batch_size
        gradient = inputs.grad.to(codes.device) * (own / ranks.size)
        factor = lr_factor(training.step, training.total_steps, settings)

        # 4. Update where all is finite. The decoder's gradient is the same on all processes, and so
        # is the decision to skip the step.
        norm = gradient_norm(decoder)
        finite = norm.isfinite()
        _restore(decoder.buffers(), buffers, finite)
        _set_lr(training.optimizer, settings.decoder_lr * factor)
        training.optimizer.step(found_inf=(~finite).float())
        training.update_average(finite)
        finite = finite.to(codes.device)
        faulty = _faulty_rows(codes, losses.detach().to(codes.device), gradient, finite)
        moves = finite & ~faulty
        gradient = torch.where(moves.unsqueeze(1), gradient, 0.0)
        change = torch.zeros_like(gradient)
        if not idle:
            _set_lr(training.code_optimizer, settings.code_lr * factor)
            training.code_optimizer.step_rows(rows, gradient, moves)
            change = training.codes[rows] - codes
            if settings.project_every == "step":
                latents.project_(rows, moves)
            training.store.touch(len(rows))
        training.step += 1

        # 5. Results, which stay on the device, and record.
        values = step_values(
            output.detach(),
            target,
            observed,
            losses.detach(),
            decoder_gradient=norm,
            code_gradients=gradient,
            code_changes=change,
            faulty=faulty,
        )
        size = 0 if idle else len(rows)
        step = UnreadStep(step=training.step, size=size, rows=rows, faulty=faulty, values=values)
        training.unread.append(step)
        record = StepRecord(
            step=training.step,
            epoch=epoch + 1,
            rows=batch_size,
            decoder_lr=settings.decoder_lr * factor,
            code_lr=settings.code_lr * factor,
            seconds=time.perf_counter() - began,
            read=partial(_numbers, training, step),
        )
        # The step is complete before its record: the caller may save and stop there.
        is_last = position + 1 == per_epoch
        if is_last or training.step % READ_EVERY == 0:
            read_steps(training)
        if is_last and settings.project_every == "epoch":
            training.project_all()
        yield record
        began = time.perf_counter()


@torch.no_grad()
def read_steps(training: TrainState) -> None:
    """Read the results of the steps since the last reading, in one transfer.

    They are added to the statistics, skipped steps are counted, and the faulty rows re-initialized.

    Raises:
        TrainingDiverged: too many steps were skipped.
    """
    steps, training.unread = training.unread, []
    table = torch.stack([step.values for step in steps]).tolist() if steps else []
    diverged = None
    for step, row in zip(steps, table, strict=True):
        values, code_gradient = StepValues[float](*row), 0.0
        if math.isfinite(values.decoder_gradient):
            training.skipped_in_a_row = 0
            if step.size:
                training.statistics.add(step.size, values)
                code_gradient = (values.code_gradient / step.size) ** 0.5
        else:
            training.skipped += 1
            training.skipped_in_a_row += 1
            diverged = diverged or _divergence(training, step.step)
        if values.faulty and step.size:
            training.restart_rows(step.rows[step.faulty].cpu())
        step.numbers = StepNumbers(
            loss=values.loss,
            code_gradient=code_gradient,
            decoder_gradient=values.decoder_gradient,
            skipped=training.skipped,
        )
    if diverged is not None:
        raise diverged


def _numbers(training: TrainState, step: UnreadStep) -> StepNumbers:
    if step.numbers is None:
        read_steps(training)
    assert step.numbers is not None, "a step without numbers is unread"
    return step.numbers


@torch.no_grad()
def _restore(buffers: Iterable[Tensor], before: Iterable[Tensor], finite: Tensor) -> None:
    """Reset the buffers of the decoder, such as statistics of batch norm, of a skipped step."""
    for buffer, old in zip(buffers, before, strict=True):
        buffer.copy_(torch.where(finite, buffer, old))


def _set_lr(optimizer: torch.optim.Optimizer | ChainedOptimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def _faulty_rows(codes: Tensor, losses: Tensor, gradient: Tensor, finite: Tensor) -> Tensor:
    """Return the rows of a batch with a non-finite code, gradient or loss, bool (B,)."""
    lost = ~codes.isfinite().all(dim=1)
    spoiled = torch.where(finite, ~gradient.isfinite().all(dim=1), ~losses.isfinite())
    # Batch norm spreads one such code over the whole batch.
    return torch.where(lost.any(), lost, spoiled)


def _divergence(training: TrainState, step: int) -> TrainingDiverged | None:
    """Return the error of too many skipped steps, `step` being the last one, or None."""
    in_a_row, settings = training.skipped_in_a_row, training.settings
    if in_a_row < MAX_CONSECUTIVE_SKIPS and training.skipped < MAX_SKIPS:
        return None
    counted = f"{in_a_row} in a row" if in_a_row >= MAX_CONSECUTIVE_SKIPS else f"{training.skipped}"
    return TrainingDiverged(
        f"The loss or a gradient was NaN or infinite in too many steps ({counted}, the last being "
        f"step {step}): the learning rates are too large for this decoder, or the data hold such "
        f"numbers; lower decoder_lr ({settings.decoder_lr:g}) or code_lr ({settings.code_lr:g}), "
        f"or look at the data."
    )
