"""State of a training run: decoder, codes, both optimizers and the step number."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import Decoder, DecoderLike, build_decoder
from glo.latents.init import PCA, pca_codes
from glo.latents.optim import RowOptimizer
from glo.latents.table import LatentCodes, row_blocks
from glo.training.factory import code_optimizer, code_row, decoder_config, store_standardizer
from glo.training.optim import decoder_optimizer
from glo.training.statistics import EpochStatistics, StepNumbers
from glo.utils.device import channels_last, compile_network, find_device, has_room
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.random import normal
from glo.utils.row_store import IN_MEMORY, RowStore
from glo.utils.torch_defaults import with_torch_defaults

# torch 2.13 renamed the argument and warns of the old name.
_SYNC = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers"
)


@dataclass(kw_only=True)
class UnreadStep:
    """Results of a step that are still on the device.

    Attributes:
        step: number of the step, from 1.
        size: number of local rows of the batch.
        rows: rows of the batch, int64 (B,).
        faulty: rows to re-initialize, bool (B,).
        values: `StepValues` as a tensor.
        numbers: numbers of the step once they were read.
    """

    step: int
    size: int
    rows: Tensor
    faulty: Tensor
    values: Tensor
    numbers: StepNumbers | None = None


@final
class TrainState:
    """Everything that changes while a run trains; see `init_train_state`.

    Args:
        n: N, rows of all processes; None: rows of `latents`.
        shards: S, groups of rows in the order of an epoch; see `glo.data.sampler`.
        optimizer: optimizer of the codes, with its row state; None: a new one.

    Attributes:
        averaged: exponential moving average of the decoder, or None.
        skipped: steps skipped because of a non-finite loss or gradient, of those read.
        skipped_in_a_row: the last of these, without a good step in between.
        unread: steps whose results are on the device; see `glo.training.loop.read_steps`.
        statistics: sums over the present epoch.
    """

    def __init__(
        self,
        settings: Settings,
        decoder: Decoder,
        latents: LatentCodes,
        *,
        optimizer: RowOptimizer | None = None,
        n: int | None = None,
        ranks: ProcessGroup = SINGLE_PROCESS,
        shards: int | None = None,
        store: RowStore = IN_MEMORY,
    ) -> None:
        self.settings = settings
        self.ranks = ranks
        self.shards = shards or settings.shards or ranks.size
        self.store = store
        self._n = n
        self.device = find_device(settings.device)
        self.decoder = channels_last(decoder.to(self.device))
        self.optimizer = decoder_optimizer(settings, decoder, ranks)
        self.latents = latents
        self.code_optimizer = optimizer or code_optimizer(settings, latents, store)
        self.averaged: AveragedModel | None = None
        if settings.ema_decay:
            self.averaged = AveragedModel(decoder, device=self.device)
        self.step = 0
        self.skipped = 0
        self.skipped_in_a_row = 0
        self.unread: list[UnreadStep] = []
        self.statistics = EpochStatistics(self.codes, ranks)

    @property
    def codes(self) -> Tensor:
        """Codes of this process, float32 (n, D), without gradient."""
        return self.latents.weight.detach()

    @cached_property
    def row_device(self) -> torch.device:
        """The device of codes and row state in the loop: the decoder's if they fit, or the CPU."""
        row = sum(value.nbytes for value in code_row(self.settings).values())
        fits = not self.store.is_mapped and has_room(self.device, len(self.latents) * row)
        return self.device if fits else torch.device("cpu")

    @contextmanager
    def rows_on_device(self) -> Iterator[None]:
        """Keep codes and row state on `row_device` inside a `with` block, else on the CPU."""
        try:
            self._move_rows(self.row_device)
            yield
        finally:
            self._move_rows(torch.device("cpu"))

    def _move_rows(self, device: torch.device) -> None:
        self.latents.weight.data = self.latents.weight.data.to(device)
        state = self.code_optimizer.row_state()
        state.update({name: value.to(device) for name, value in state.items()})

    @cached_property
    def network(self) -> nn.Module:
        """The decoder as the loop calls it: compiled, or averaging gradients over processes."""
        if self.ranks.size == 1:
            return compile_network(self.decoder) if self.settings.compile else self.decoder
        # Batch norm statistics stay per process; they are recomputed at the end.
        options: dict[str, Any] = {_SYNC: False}
        return DistributedDataParallel(self.decoder, **options)

    @property
    def n(self) -> int:
        """N, the number of examples of all processes."""
        return len(self.latents) if self._n is None else self._n

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the data."""
        return self.settings.steps_per_epoch(self.n)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.settings.epochs_for(self.n)

    @property
    def done(self) -> bool:
        """Whether all steps are made."""
        return self.step >= self.total_steps

    @property
    def final_decoder(self) -> Decoder:
        """The decoder to use: the averaged one where there is one."""
        decoder = self.decoder if self.averaged is None else self.averaged.module
        assert isinstance(decoder, Decoder), "an average of a decoder is a decoder"
        return decoder

    @torch.no_grad()
    def update_average(self, finite: Tensor) -> None:
        """Update the moving average of the decoder where `finite`, bool (), is True.

        Buffers that are no floats, such as counters, are copied.
        """
        if self.averaged is None:
            return
        count, average = self.averaged.n_averaged, self.averaged.module
        # The first average is the decoder.
        weight = torch.where(count == 0, 1.0, 1.0 - self.settings.ema_decay) * finite
        own = chain(average.parameters(), average.buffers())
        for mean, value in zip(
            own, chain(self.decoder.parameters(), self.decoder.buffers()), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)
        count += finite

    def project_all(self) -> None:
        """Project every code onto the constraint."""
        _project_all(self.latents, self.store)

    def restart_rows(self, rows: Tensor) -> None:
        """Re-initialize codes of `rows`, int64 (B,), at random, with fresh optimizer state."""
        dim = self.settings.code_dim
        numbers = (rows * self.ranks.size + self.ranks.rank).tolist()
        drawn = [normal(self.settings.seed, row, 1, dim, stream="codes") for row in numbers]
        weight = self.latents.weight.data
        weight[rows] = (torch.cat(drawn) / dim**0.5).to(weight.device)
        self.latents.project_(rows)
        self.code_optimizer.reset_rows(rows)

    def append_rows(self, codes: Tensor) -> None:
        """Append codes, (n, D), with fresh optimizer state; earlier rows keep every bit."""
        added = LatentCodes(codes, constraint=self.latents.constraint)
        fresh = code_optimizer(self.settings, added).row_state()
        state = self.code_optimizer.row_state()
        self._replace_rows(
            torch.cat([self.codes, added.weight.detach()]),
            {name: torch.cat([value, fresh[name]]) for name, value in state.items()},
        )

    def keep_rows(self, rows: Tensor) -> None:
        """Keep `rows`, int64 (n,), ascending, and drop all others."""
        state = self.code_optimizer.row_state()
        self._replace_rows(self.codes[rows], {name: value[rows] for name, value in state.items()})
        self.statistics.keep(rows)

    def _replace_rows(self, codes: Tensor, state: dict[str, Tensor]) -> None:
        self.latents = LatentCodes.from_storage(codes, self.latents.constraint)
        self.code_optimizer = code_optimizer(self.settings, self.latents, state=state)


@with_torch_defaults
def init_train_state(
    samples: Dataset,
    settings: Settings,
    pca: PCA,
    *,
    n: int | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
    store: RowStore = IN_MEMORY,
    custom: DecoderLike | None = None,
    decoder: Decoder | None = None,
    initial_codes: Tensor | None = None,
) -> TrainState:
    """Build the state at step 0: the decoder, and initial codes of the examples of this process.

    `n` is the number of rows of all processes; None: rows of `samples`. A warm start gives the
    decoder, and the codes (n, D) of `samples` under it.
    """
    dim = settings.code_dim
    if decoder is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            decoder = build_decoder(decoder_config(samples, settings, custom), custom)
        store_standardizer(decoder, samples)
    codes = store.zeros("codes", (len(samples), dim), torch.float32)
    if initial_codes is not None:
        codes.copy_(initial_codes)
    elif settings.init == "pca":
        pca_codes(samples, dim, pca=pca, seed=settings.seed, ranks=ranks, out=codes)
    else:
        for rows in row_blocks(len(codes)):
            start = int(ranks.global_rows(rows[0]))
            drawn = normal(settings.seed, start, len(rows), dim, stream="codes", every=ranks.size)
            torch.mul(drawn, settings.gaussian_std, out=codes[int(rows[0]) : int(rows[-1]) + 1])
    latents = LatentCodes.from_storage(codes, settings.constraint)
    # Before the statistics of the state copy the initial codes.
    _project_all(latents, store)
    return TrainState(settings, decoder, latents, n=n, ranks=ranks, store=store)


def _project_all(latents: LatentCodes, store: RowStore) -> None:
    for rows in row_blocks(len(latents)):
        latents.project_(rows)
        store.touch(len(rows))
