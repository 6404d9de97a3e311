"""Batches read ahead: the same ones, in the same order, from memory and from a file."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from glo.data import Dataset
from glo.data.loader import prefetch_batches

ORDER = torch.tensor([3, 0, 4, 1, 2, 6, 5])


def on_disk(tmp_path: Path, rows: np.ndarray) -> Dataset:
    Dataset(rows=rows, name="rows").save(tmp_path / "set")
    return Dataset.open(tmp_path / "set")


def test_a_file_gives_what_memory_gives(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    rows[2, 1] = np.nan
    memory, disk = Dataset(rows=rows, name="rows"), on_disk(tmp_path, rows)
    assert (memory.is_mapped, disk.is_mapped) == (False, True)
    one, two = (list(prefetch_batches(each, ORDER.split(2))) for each in (memory, disk))
    assert len(one) == len(two) == 4
    for (rows_a, target_a, known_a), (rows_b, target_b, known_b) in zip(one, two, strict=True):
        assert torch.equal(rows_a, rows_b)
        assert torch.equal(target_a, target_b)
        assert known_a is not None
        assert known_b is not None
        assert torch.equal(known_a, known_b)


def test_who_stops_leaves_no_thread(tmp_path: Path) -> None:
    disk = on_disk(tmp_path, np.zeros((7, 3), "float32"))
    batches = prefetch_batches(disk, ORDER.split(1))
    assert int(next(batches)[0]) == 3
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("glo-read")]


def test_an_error_of_reading_is_raised(tmp_path: Path) -> None:
    disk = on_disk(tmp_path, np.zeros((3, 3), "float32"))
    with pytest.raises(IndexError):
        list(prefetch_batches(disk, torch.tensor([[0], [9]])))
