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
    """Yield batches, read up to two ahead in a background thread where rows are memory-mapped.

    Args:
        dataset: N examples.
        batches: row numbers, int64 (B,) each.
        store: store of arrays with as many rows, whose rows of a batch are prefetched too.

    Yields:
        rows (B,), examples (B, *shape), and the mask of observed values or None.
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
