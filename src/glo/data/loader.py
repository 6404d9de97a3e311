"""Batches that are read from disk while the one before is computed."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from glo.data import Dataset
from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["read"]

# Enough for the disk to be busy all the time; each is a batch in memory.
_AHEAD = 2

Batch = tuple[Tensor, Tensor, Tensor | None]


def read(
    samples: Dataset, batches: Iterable[Tensor], store: RowStore = IN_MEMORY
) -> Iterator[Batch]:
    """Yield batches of rows: their numbers, the examples, and what of them is known.

    Those of a mapped file are read by a thread, up to two batches ahead of what was asked for;
    those in memory when they are asked for. The rows of a store are asked for as early.

    Args:
        samples: N examples.
        batches: row numbers, int64 (B,) each.
        store: of arrays with as many rows, which the caller reads and writes by batches.

    Yields:
        rows (B,), examples (B, *shape), and 1 where a value is known or None: all are.

    Example:
        >>> import numpy as np, torch
        >>> samples = Dataset(rows=np.ones((4, 2), "float32"), name="ones")
        >>> [len(rows) for rows, _, _ in read(samples, torch.arange(4).split(3))]
        [3, 1]
    """
    if not (samples.mapped or store.mapped):
        yield from (_gather(samples, rows) for rows in batches)
        return
    waiting: deque[Future[Batch]] = deque()
    with (
        samples.scattered(),
        store.scattered(),
        ThreadPoolExecutor(1, thread_name_prefix="glo-read") as reader,
    ):
        try:
            for rows in batches:
                waiting.append(reader.submit(_fetched, samples, rows, store))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Who stops in between does not wait for what nobody will see.
            for future in waiting:
                future.cancel()


def _fetched(samples: Dataset, rows: Tensor, store: RowStore) -> Batch:
    store.fetch(rows)
    samples.fetch(rows)
    return _gather(samples, rows)


def _gather(samples: Dataset, rows: Tensor) -> Batch:
    return rows, samples.batch(rows), samples.observed(rows)
