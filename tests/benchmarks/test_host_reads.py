"""The counter of host reads counts each kind of them, and nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from benchmarks.host_reads import HostReads
from torch import Tensor, nn

VALUES = torch.arange(6.0)
MASK = VALUES > 2


def sparse_gradient() -> Tensor:
    table = nn.Embedding(3, 2, sparse=True)
    table(torch.tensor([1, 1])).sum().backward()
    assert table.weight.grad is not None
    return table.weight.grad


READS: dict[str, Callable[[], object]] = {
    "float": lambda: float(VALUES[1]),
    "bool": lambda: bool(MASK.any()),
    "item": lambda: VALUES[1].item(),
    "tolist": VALUES.tolist,
    "numpy": VALUES.numpy,
    "asarray": lambda: np.asarray(VALUES),
    "cpu": VALUES.cpu,
    "format": lambda: f"{VALUES[1]:.2f}",
    "equal": lambda: torch.equal(VALUES, VALUES),
    "read by a mask": lambda: VALUES[MASK],
    "write by a mask": lambda: VALUES.clone().__setitem__(MASK, 1.0),
    "nonzero": MASK.nonzero,
    "where": lambda: torch.where(MASK),
    "unique": lambda: VALUES.unique(),
    "coalesce": lambda: sparse_gradient().coalesce(),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_is_counted(name: str) -> None:
    with HostReads() as reads:
        READS[name]()
    assert reads.count >= 1


def test_work_of_the_device_is_not() -> None:
    weight = torch.ones(6, requires_grad=True)
    optimizer = torch.optim.Adam([weight], fused=True)
    with HostReads() as reads:
        rows = torch.tensor([3, 1])
        torch.where(MASK[rows], weight[rows], 0.0).sum().backward()
        optimizer.step()
        VALUES.clone()[rows] = 1.0
    assert reads.count == 0, reads.places
    assert weight.grad is not None


def test_places_are_lines_of_the_caller() -> None:
    with HostReads() as reads:
        for _ in range(3):
            float(VALUES.sum())
    assert list(reads.places.values()) == [3]
    assert next(iter(reads.places)).startswith("test_host_reads.py:")
