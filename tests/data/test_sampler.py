"""The order of an epoch: every row once, independent of the number of processes."""

import pytest
import torch

from glo.data.sampler import EpochSampler
from glo.utils.distributed import ProcessGroup


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("shuffle_buffer", [0, 16])
def test_every_row_once_and_another_order_in_each_epoch(shards, shuffle_buffer):
    options = {"seed": 5, "shards": shards, "shuffle_buffer": shuffle_buffer}
    orders = [torch.cat(list(EpochSampler(50, 8, epoch=e, **options))) for e in (0, 0, 1)]
    assert all(order.sort().values.tolist() == list(range(50)) for order in orders)
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], torch.arange(50))


def test_batches_without_shuffle():
    sampler = EpochSampler(5, 2, shuffle=False)
    assert [rows.tolist() for rows in sampler] == [[0, 1], [2, 3], [4]]
    assert [sampler.size(position) for position in range(len(sampler))] == [2, 2, 1]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("processes", [2, 3])
def test_the_processes_share_the_batches_of_one_process(shuffle, processes):
    whole = EpochSampler(23, 6, shards=6, shuffle=shuffle)
    groups = [ProcessGroup(rank, processes) for rank in range(processes)]
    parts = [EpochSampler(23, 6, shards=6, shuffle=shuffle, group=group) for group in groups]
    for position, rows in enumerate(whole):
        local = [part.batch(position) * processes + rank for rank, part in enumerate(parts)]
        assert torch.equal(torch.cat(local).sort().values, rows.sort().values)
