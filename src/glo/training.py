"""The joint loop: decoder and codes learn together by reconstruction, one batch at a time.

The objective of GLO (Bojanowski et al., ICML 2018, equation 1) is

    min over theta  1/N  sum over i  min over z_i in Z  loss(g_theta(z_i), x_i)

a sum of N separate problems, one per code, under a shared decoder. So a code's gradient is that of
its own loss and is not divided by the batch size, while the decoder's is the mean over the batch.

`Training` is all that a run is: weights, codes, what both optimisers remember, and the number of
the next step. `train` advances it and yields a record per step and per epoch; who calls it logs,
draws and saves. Data order is a function of (seed, epoch) and nothing else is random, so a
`Training` restored from disk goes on exactly as if it had never stopped.
"""

import math
import time
from collections.abc import Iterator
from typing import final

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from glo.codes import CodeTable
from glo.data import Samples
from glo.decoders import Decoder, build_decoder
from glo.draws import normal, permutation
from glo.errors import UserError
from glo.losses import parse_loss
from glo.optimizers import decoder_optimizer
from glo.pca import PCA, pca_codes
from glo.precision import autocast, channels_last, find_device
from glo.recipe import decoder_config, keep_columns, rate_factor, row_rule
from glo.records import EpochRecord, StepRecord, Tally
from glo.settings import Settings

__all__ = ["Diverged", "Training", "start_training", "train"]


class Diverged(UserError):
    """The loss became NaN or infinite: what the run holds is no longer worth saving."""


@final
class Training:
    """All that changes while a run trains; see `start_training`.

    Attributes:
        decoder: the network, on the device, in training mode between epochs.
        optimizer: of the decoder's weights.
        table: the codes and their optimiser state.
        averaged: averaged decoder, or None.
        step: number of updates made so far.
        tally: sums over the present epoch, for its record.
    """

    def __init__(self, settings: Settings, decoder: Decoder, table: CodeTable) -> None:
        self.settings = settings
        self.device = find_device(settings.device)
        self.decoder = channels_last(decoder.to(self.device))
        self.table = table
        self.optimizer = decoder_optimizer(settings, decoder)
        self.averaged: AveragedModel | None = None
        if settings.average:
            rule = get_ema_multi_avg_fn(settings.average)
            self.averaged = AveragedModel(decoder, multi_avg_fn=rule, use_buffers=True)
        self.step = 0
        self.tally = Tally(table.codes)

    @property
    def n(self) -> int:
        """N, the number of examples."""
        return len(self.table)

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


def start_training(samples: Samples, settings: Settings, pca: PCA) -> Training:
    """Build the decoder and the initial codes of a new run.

    Args:
        samples: the data, N rows.
        settings: the recipe.
        pca: principal components of the data, for codes that start there.

    Returns:
        a Training at step 0.

    Raises:
        UserError: the decoder cannot make examples of this shape, or a device is missing.

    Example:
        >>> import numpy as np
        >>> from glo.pca import fit_pca
        >>> pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 1), dtype="uint8")
        >>> samples = Samples(rows=pixels, name="noise")
        >>> settings = Settings(code_dim=2, width=4, epochs=1)
        >>> start_training(samples, settings, fit_pca(samples, 2)).table.codes.shape
        torch.Size([4, 2])
    """
    dim = settings.code_dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        decoder = build_decoder(decoder_config(samples, settings))
    keep_columns(decoder, samples)
    if settings.start == "pca":
        codes = pca_codes(samples, pca, dim, seed=settings.seed)
    else:
        codes = normal(settings.seed, 0, len(samples), dim, stream="codes") * settings.gaussian_std
    table = CodeTable(codes, rule=row_rule(settings), constraint=settings.constraint)
    return Training(settings, decoder, table)


def train(training: Training, samples: Samples) -> Iterator[StepRecord | EpochRecord]:
    """Advance `training` to its end, yielding a record after every step and every epoch.

    The caller may stop at any record and go on later, with the same object or with one restored
    from disk: the numbers are the same as without the stop.

    Args:
        training: where the run stands; changed in place.
        samples: the data; row i belongs to code i.

    Raises:
        Diverged: the loss is not finite; go back to the last checkpoint.

    Example:
        >>> import numpy as np
        >>> from glo.pca import fit_pca
        >>> rng = np.random.default_rng(0)
        >>> samples = Samples(rows=rng.integers(0, 255, (6, 8, 8, 1), dtype="uint8"), name="noise")
        >>> settings = Settings(code_dim=2, width=4, epochs=2, batch_size=4)
        >>> training = start_training(samples, settings, fit_pca(samples, 2))
        >>> [type(record).__name__ for record in train(training, samples)][:3]
        ['StepRecord', 'StepRecord', 'EpochRecord']
    """
    settings, table, decoder = training.settings, training.table, training.decoder
    loss_of = parse_loss(settings.loss)
    per_epoch, size = training.steps_per_epoch, settings.batch_size

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
        order = permutation(training.n, settings.seed, epoch) if settings.shuffle else None

        for position in range(first, per_epoch):
            began = time.perf_counter()
            # A caller may have evaluated the decoder since the last record.
            decoder.train()
            # Data and codes of this batch's rows.
            low, high = position * size, min((position + 1) * size, training.n)
            rows = torch.arange(low, high) if order is None else order[low:high]
            target = samples.batch(rows).to(training.device)
            observed = samples.observed(rows)
            if observed is not None:
                observed = observed.to(training.device)
            codes = table.gather(rows)

            # Decode and compare.
            with autocast(training.device, settings.precision):
                output = decoder(codes.to(training.device))
            losses = loss_of(output, target, observed)
            loss = losses.mean()
            value = float(loss.detach())
            if not math.isfinite(value):
                raise Diverged(
                    f"The loss became {value} at step {training.step}: the learning rates are too "
                    f"large for this decoder; lower decoder_lr ({settings.decoder_lr:g}) or "
                    f"code_lr ({settings.code_lr:g})."
                )

            # One backward pass of the mean gives both gradients; a row's own is B times that.
            training.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            assert codes.grad is not None, "codes are a leaf of the loss"
            gradient = codes.grad if settings.reduction == "mean" else codes.grad * len(rows)

            # Update weights and rows.
            factor = rate_factor(training.step, training.total_steps, settings)
            for group in training.optimizer.param_groups:
                group["lr"] = settings.decoder_lr * factor
            training.optimizer.step()
            code_lr = settings.code_lr * factor
            moved = table.update(rows, gradient, code_lr, keep=settings.project == "step")
            if training.averaged is not None:
                training.averaged.update_parameters(decoder)
            training.step += 1

            # Count and report.
            output = output.detach()
            code_gradient = training.tally.add(output, target, observed, value, gradient, moved)
            done = StepRecord(
                step=training.step,
                epoch=epoch + 1,
                rows=len(rows),
                loss=value,
                decoder_lr=settings.decoder_lr * factor,
                code_lr=code_lr,
                code_gradient=code_gradient,
                seconds=time.perf_counter() - began,
            )
            # All of the step before it is told: a caller may save at any record and stop there.
            if settings.project == "epoch" and position + 1 == per_epoch:
                table.project_all()
            yield done
