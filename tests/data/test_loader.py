"""Prefetching batch loader: a memory-mapped dataset gives the batches of one in memory."""

import threading

import numpy as np
import pytest
import torch

from glo.data import Dataset
from glo.data.loader import BatchLoader

ORDER = torch.tensor([3, 0, 4, 1, 2, 6, 5])


@pytest.fixture
def datasets(tmp_path):
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    rows[2, 1] = np.nan
    memory = Dataset(rows=rows, name="rows")
    memory.save(tmp_path / "set")
    return memory, Dataset.open(tmp_path / "set")


def test_batches(datasets):
    assert [dataset.is_mapped for dataset in datasets] == [False, True]
    memory, disk = (list(BatchLoader(each).batches(ORDER.split(2))) for each in datasets)
    assert len(memory) == len(disk) == 4
    for parts in zip(memory, disk, strict=True):
        assert all(torch.equal(one, two) for one, two in zip(*parts, strict=True))


def test_an_early_stop_ends_the_thread(datasets):
    batches = BatchLoader(datasets[1]).batches(ORDER.split(1))
    assert int(next(batches)[0]) == 3
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("glo-read")]


def test_an_error_of_reading_is_raised(datasets):
    with pytest.raises(IndexError):
        list(BatchLoader(datasets[1]).batches(torch.tensor([[0], [9]])))
