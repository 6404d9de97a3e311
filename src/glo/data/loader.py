"""Batch loader: gathers batches on the device of the decoder, or reads them ahead from files."""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, final

import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.dataset import Dataset
from glo.data.standardizer import Standardizer
from glo.utils.device import has_room, to_device
from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["BatchLoader", "fits_on_device"]

# Enough to keep the disk busy; each is a batch in memory.
_PREFETCH = 2
_CPU = torch.device("cpu")

Batch = tuple[Tensor, Tensor, Tensor | None]


def fits_on_device(dataset: Dataset, device: torch.device) -> bool:
    """Return whether all rows of a dataset can be gathered on a device: in memory, with room."""
    size = dataset.rows.nbytes + (0 if dataset.missing is None else dataset.missing.nbytes)
    return not dataset.is_mapped and has_room(device, size)


@final
class BatchLoader:
    """Batches of a dataset, on a device.

    Rows in memory are copied to the device once where they fit, and gathered there; on the CPU
    they are used as they are. All others are gathered on the CPU and copied batch by batch, which
    the device does not wait for; memory-mapped rows are read up to two batches ahead in a
    background thread.

    Args:
        dataset: N examples.
        device: device of the batches.
        store: store of arrays with as many rows, whose rows of a batch are prefetched too.
    """

    def __init__(
        self, dataset: Dataset, device: torch.device = _CPU, store: RowStore = IN_MEMORY
    ) -> None:
        self._device, self._store = device, store
        self._is_mapped = dataset.is_mapped or store.is_mapped
        self._rows: Tensor | None = None
        self._missing: Tensor | None = None
        if fits_on_device(dataset, device) and all(map(_is_plain, (dataset.rows, dataset.missing))):
            self._rows = _as_tensor(dataset.rows, device)
            if dataset.missing is not None:
                self._missing = _as_tensor(dataset.missing, device)
            if dataset.standardizer is not None and device.type != "cpu":
                shift, scale = dataset.standardizer.shift, dataset.standardizer.scale
                moved = Standardizer(shift.to(device), scale.to(device))
                dataset = dataset.replace(standardizer=moved)
        self._dataset = dataset

    def batch(self, rows: Tensor) -> Batch:
        """Gather rows, int64 (B,) on the CPU.

        Returns:
            rows, examples (B, *shape) on the device, and the mask of observed values or None.
        """
        if self._rows is None:
            target, observed = self._dataset.batch(rows), self._dataset.observed(rows)
            observed = None if observed is None else to_device(observed, self._device)
            return rows, to_device(target, self._device), observed
        index = to_device(rows, self._device)
        gathered = self._rows.index_select(0, index)
        hidden = gathered if self._missing is None else self._missing.index_select(0, index)
        observed = self._dataset.to_observed(hidden)
        return rows, self._dataset.to_examples(gathered), observed

    def batches(self, batches: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield the results of `batch` for row numbers, int64 (B,) each."""
        if not self._is_mapped:
            yield from map(self.batch, batches)
            return
        pending: deque[Future[Batch]] = deque()
        with (
            self._dataset.random_access(),
            self._store.random_access(),
            ThreadPoolExecutor(1, thread_name_prefix="glo-read") as reader,
        ):
            try:
                for rows in batches:
                    pending.append(reader.submit(self._read, rows))
                    if len(pending) > _PREFETCH:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                # A caller that stops early does not wait for unused batches.
                for future in pending:
                    future.cancel()

    def _read(self, rows: Tensor) -> Batch:
        self._store.prefetch_rows(rows)
        self._dataset.prefetch(rows)
        return self.batch(rows)


def _is_plain(array: NDArray[Any] | None) -> bool:
    """Return whether torch can use the memory of an array: it has no negative or odd strides."""
    return array is None or all(each >= 0 and each % array.itemsize == 0 for each in array.strides)


def _as_tensor(array: NDArray[Any], device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # The array is read-only, which the loader respects.
        warnings.simplefilter("ignore")
        return torch.from_numpy(array).to(device)
