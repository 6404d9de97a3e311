"""Epoch sampler: the order of rows as a function of seed, epoch and number of shards.

Row i belongs to shard i mod S of S shards. Each shard has its own permutation and a batch takes
from all shards alike, so R processes (R a divisor of S) have equal shares of every batch. The
batches are the same for every R: a run started by four processes visits the same rows in the same
steps when it is continued by one.
"""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.random import permutation, permutation_within
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["EpochSampler"]


@final
class EpochSampler:
    """Row batches of one epoch, restricted to the rows of this process.

    An instance is a `batch_sampler` of `torch.utils.data.DataLoader`.

    Args:
        n: N, rows of all processes.
        batch_size: B, rows of a batch on all processes; the last batch may be smaller.
        seed: random seed, any integer.
        epoch: number of the epoch, from 0.
        shuffle: False keeps the order of the rows.
        shuffle_buffer: number of rows that are shuffled with each other, for files that are read
            from disk; 0 shuffles all.
        shards: S.
        group: process group.

    Example:
        >>> sampler = EpochSampler(10, 4, shards=2)
        >>> [len(rows) for rows in sampler]
        [4, 4, 2]
        >>> first = EpochSampler(10, 4, shards=2, group=ProcessGroup(0, 2))
        >>> rows = sampler.batch(0)
        >>> torch.equal(rows[rows % 2 == 0] // 2, first.batch(0))
        True
    """

    @with_torch_defaults
    def __init__(
        self,
        n: int,
        batch_size: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = True,
        shuffle_buffer: int = 0,
        shards: int = 1,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self._n, self._batch_size, self._shards, self._group = n, batch_size, shards, group
        self._orders: dict[int, Tensor] = {}
        if not shuffle:
            return
        owned = range(group.rank, shards, group.size) if shards % group.size == 0 else range(shards)
        for shard in owned:
            count = len(range(shard, n, shards))
            if shuffle_buffer:
                within = max(1, shuffle_buffer // shards)
                order = permutation_within(count, seed, epoch, shard, within=within)
            else:
                order = permutation(count, seed, epoch, shard)
            self._orders[shard] = shard + shards * order

    def __len__(self) -> int:
        return -(-self._n // self._batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.batch, range(len(self)))

    def size(self, position: int) -> int:
        """Return the number of rows of a batch on all processes."""
        return min(self._batch_size, self._n - position * self._batch_size)

    @with_torch_defaults
    def batch(self, position: int) -> Tensor:
        """Return the rows of a batch that this process owns, as local row numbers; int64."""
        start = position * self._batch_size
        stop = start + self.size(position)
        if not self._orders:
            rows = torch.arange(start, stop)
        else:
            parts = [
                order[-((shard - start) // self._shards) : -((shard - stop) // self._shards)]
                for shard, order in self._orders.items()
            ]
            rows = parts[0] if len(parts) == 1 else torch.cat(parts)
        if self._group.size > 1:
            rows = rows[self._group.is_local(rows)]
        return self._group.local_rows(rows)
