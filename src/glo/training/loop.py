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

Steps with a non-finite loss or gradient are skipped and counted, and the codes that caused them are
re-initialized.
"""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from glo.data import Dataset
from glo.data.loader import prefetch_batches
from glo.data.sampler import EpochSampler
from glo.errors import UserError
from glo.training.factory import training_loss
from glo.training.optim import ChainedOptimizer
from glo.training.schedule import lr_factor
from glo.training.state import TrainState
from glo.training.statistics import EpochRecord, StepRecord, gradient_norm
from glo.utils.device import autocast
from glo.utils.torch_defaults import with_torch_defaults

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
    settings, latents, decoder = training.settings, training.latents, training.decoder
    network, ranks = training.network, training.ranks
    loss_of = training_loss(settings)
    per_epoch = training.steps_per_epoch

    while True:
        epoch, first = divmod(training.step, per_epoch)
        # Due also after a stop between the last step of an epoch and its record.
        if first == 0 and training.statistics.due:
            yield training.statistics.record(epoch, training.step, training.codes, decoder)
        if training.done:
            return
        if first == 0:
            training.statistics.start_epoch(training.codes, decoder)
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
        local_batches = (order.batch(each) for each in range(first, per_epoch))
        batches = prefetch_batches(samples, local_batches, training.store)
        for position, (rows, target, observed) in enumerate(batches, first):
            # The caller may have evaluated the decoder since the last record.
            decoder.train()
            # 1. Data and codes of the batch. A process without rows of a last, small batch takes
            # part with its first row, which has weight zero.
            batch_size, idle = order.size(position), len(rows) == 0
            if idle:
                rows = torch.zeros(1, dtype=torch.int64)
                target, observed = samples.batch(rows), samples.observed(rows)
            target = target.to(training.device)
            observed = None if observed is None else observed.to(training.device)

            # 2. Decode and compare. The loss is the mean over the batch of all processes, which
            # average their gradients; the gradient of a code is that of its own loss.
            own = 1 if settings.code_grad_reduction == "mean" else batch_size
            codes = latents(rows, grad_scale=own / ranks.size)
            inputs = codes.to(training.device)
            if settings.compile:
                # The compiler reads `.grad` of its inputs, and torch warns unless they are leaves.
                inputs = inputs.detach().requires_grad_()
            with autocast(training.device, settings.precision):
                output = network(inputs)
            losses = loss_of(output, target, observed)
            loss = losses.sum() * (0 if idle else ranks.size) / batch_size

            # 3. One backward pass gives both gradients.
            training.optimizer.zero_grad(set_to_none=True)
            training.code_optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if settings.compile:
                codes.backward(inputs.grad)
            gradient = _row_gradients(latents.weight)
            factor = lr_factor(training.step, training.total_steps, settings)

            # 4. Update. The decoder's gradient is the same on all processes, and so is the
            # decision to skip the step.
            finite = math.isfinite(gradient_norm(decoder))
            faulty = _faulty_rows(codes, losses, gradient, finite=finite)
            change = torch.zeros_like(gradient)
            if finite:
                training.skipped_in_a_row = 0
                _set_lr(training.optimizer, settings.decoder_lr * factor)
                training.optimizer.step()
                if training.averaged is not None:
                    training.averaged.update_parameters(decoder)
                if not idle:
                    gradient[faulty] = 0.0
                    _set_lr(training.code_optimizer, settings.code_lr * factor)
                    training.code_optimizer.step()
                    change = training.codes[rows] - codes.detach()
                    if settings.project_every == "step":
                        latents.project_(rows)
                    training.store.touch(len(rows))
            else:
                _count_skip(training)
            if bool(faulty.any()) and not idle:
                training.restart_rows(rows[faulty])
            training.step += 1

            # 5. Statistics and record.
            mean_loss, code_gradient = float(losses.detach().mean()), 0.0
            if finite and not idle:
                code_gradient = training.statistics.add(
                    output.detach(), target, observed, mean_loss, gradient, change
                )
            record = StepRecord(
                step=training.step,
                epoch=epoch + 1,
                rows=batch_size,
                loss=mean_loss,
                decoder_lr=settings.decoder_lr * factor,
                code_lr=settings.code_lr * factor,
                code_gradient=code_gradient,
                skipped=training.skipped,
                seconds=time.perf_counter() - began,
            )
            # The step is complete before its record: the caller may save and stop there.
            if settings.project_every == "epoch" and position + 1 == per_epoch:
                training.project_all()
            yield record
            began = time.perf_counter()


def _row_gradients(table: torch.nn.Parameter) -> Tensor:
    """Return the gradients of the batch's rows, (B, D), in the order of the batch, as a view."""
    assert table.grad is not None, "the codes took part in the loss"
    # The public `values` wants a coalesced tensor, whose rows are sorted.
    values: Tensor = table.grad._values()
    return values


def _set_lr(optimizer: torch.optim.Optimizer | ChainedOptimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def _faulty_rows(codes: Tensor, losses: Tensor, gradient: Tensor, *, finite: bool) -> Tensor:
    """Return the rows of a batch with a non-finite code, gradient or loss, bool (B,)."""
    lost = ~codes.detach().isfinite().all(dim=1)
    if bool(lost.any()):
        # Batch norm spreads one such code over the whole batch.
        return lost
    if finite:
        return ~gradient.isfinite().all(dim=1)
    return ~losses.detach().isfinite().cpu()


def _count_skip(training: TrainState) -> None:
    training.skipped += 1
    training.skipped_in_a_row += 1
    in_a_row, settings = training.skipped_in_a_row, training.settings
    if in_a_row < MAX_CONSECUTIVE_SKIPS and training.skipped < MAX_SKIPS:
        return
    counted = f"{in_a_row} in a row" if in_a_row >= MAX_CONSECUTIVE_SKIPS else f"{training.skipped}"
    raise TrainingDiverged(
        f"The loss or a gradient was NaN or infinite in too many steps ({counted}, the last being "
        f"step {training.step}): the learning rates are too large for this decoder, or the data "
        f"hold such numbers; lower decoder_lr ({settings.decoder_lr:g}) or code_lr "
        f"({settings.code_lr:g}), or look at the data."
    )
