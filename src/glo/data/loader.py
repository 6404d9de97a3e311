"""Prefetching batch loader."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from glo.data.dataset import Dataset
from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["prefetch_batches"]

# Enough to keep the disk busy; each is a batch in memory.
_PREFETCH = 2

Batch = tuple[Tensor, Tensor, Tensor | None]


def prefetch_batches(
    dataset: Dataset, batches: Iterable[Tensor], store: RowStore = IN_MEMORY
) -> Iterator[Batch]:
    """Yield batches, read in a background thread where rows are memory-mapped.

    The thread is up to two batches ahead. Rows in memory are gathered when a batch is requested.

    Args:
        dataset: N examples.
        batches: row numbers, int64 (B,) each.
        store: store of arrays with as many rows, whose rows of a batch are prefetched too.

    Yields:
        rows (B,), examples (B, *shape), and the mask of observed values or None.

    Example:
        >>> import numpy as np, torch
        >>> dataset = Dataset(rows=np.ones((4, 2), "float32"), name="ones")
        >>> [len(rows) for rows, _, _ in prefetch_batches(dataset, torch.arange(4).split(3))]
        [3, 1]
    """

    def gather(rows: Tensor) -> Batch:
        return rows, dataset.batch(rows), dataset.observed(rows)

    def read(rows: Tensor) -> Batch:
        store.prefetch_rows(rows)
        dataset.prefetch(rows)
        return gather(rows)

    if not (dataset.is_mapped or store.is_mapped):
        yield from map(gather, batches)
        return
    pending: deque[Future[Batch]] = deque()
    with (
        dataset.random_access(),
        store.random_access(),
        ThreadPoolExecutor(1, thread_name_prefix="glo-read") as reader,
    ):
        try:
            for rows in batches:
                pending.append(reader.submit(read, rows))
                if len(pending) > _PREFETCH:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            # A caller that stops early does not wait for unused batches.
            for future in pending:
                future.cancel()
