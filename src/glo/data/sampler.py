"""The order in which rows are visited, a function of the seed, the epoch and the number of shards.

Rows are dealt to S shards, row i to shard i mod S. Each shard has an order of its own, and a batch
takes from all of them alike, so that R processes (R a divisor of S) have equal shares of every
batch. The batches are the same whatever R is: a run that was begun by four processes visits the
same rows in the same steps when one process goes on with it.
"""

from typing import final

import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.utils.distributed import ProcessGroup
from glo.utils.random import permutation, permutation_within

__all__ = ["EpochSampler"]


@final
class EpochSampler:
    """The batches of one epoch, as far as they are this process's.

    Args:
        n: N, rows of all processes.
        epoch: number of the pass.
        settings: `seed`, `shuffle`, `shuffle_buffer`, `batch_size`.
        shards: S.
        ranks: the processes.

    Example:
        >>> from glo.utils.distributed import SINGLE_PROCESS
        >>> settings = Settings(batch_size=4)
        >>> alone = EpochSampler(10, 0, settings, 2, SINGLE_PROCESS)
        >>> first = EpochSampler(10, 0, settings, 2, ProcessGroup(0, 2))
        >>> both = alone.batch(0)
        >>> torch.equal(both[both % 2 == 0] // 2, first.batch(0))
        True
    """

    def __init__(
        self, n: int, epoch: int, settings: Settings, shards: int, ranks: ProcessGroup
    ) -> None:
        self._n, self._size, self._ranks = n, settings.batch_size, ranks
        # Without an order of their own the rows come as they are numbered.
        self._shards = shards if settings.shuffle else 1
        self._orders: dict[int, Tensor] = {}
        if settings.shuffle:
            own = shards % ranks.size == 0
            kept = range(ranks.rank, shards, ranks.size) if own else range(shards)
            for part in kept:
                count = len(range(part, n, shards))
                self._orders[part] = part + shards * _order(count, epoch, part, shards, settings)

    def size(self, position: int) -> int:
        """Return B, how many rows the batch has on all processes."""
        return min(self._size, self._n - position * self._size)

    def batch(self, position: int) -> Tensor:
        """Return the rows of a batch that are this process's, in its own numbers; int64."""
        low = position * self._size
        high = low + self.size(position)
        if not self._orders:
            rows = torch.arange(low, high)
        else:
            parts = [
                order[-((part - low) // self._shards) : -((part - high) // self._shards)]
                for part, order in self._orders.items()
            ]
            rows = parts[0] if len(parts) == 1 else torch.cat(parts)
        if self._ranks.size > 1:
            rows = rows[self._ranks.is_local(rows)]
        return self._ranks.local_rows(rows)


def _order(count: int, epoch: int, part: int, shards: int, settings: Settings) -> Tensor:
    if not settings.shuffle_buffer:
        return permutation(count, settings.seed, epoch, part)
    within = max(1, settings.shuffle_buffer // shards)
    return permutation_within(count, settings.seed, epoch, part, within=within)
