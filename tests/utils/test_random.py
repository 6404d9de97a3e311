"""A draw is a function of its seed and number; an order is one of its seed and epoch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from glo.utils.random import Stream, normal, permutation, permutation_within

STREAMS: tuple[Stream, ...] = ("codes", "samples")
SEEDS = st.integers(-(2**65), 2**65)


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(0, 2**40), st.integers(0, 9), st.integers(0, 9), st.integers(1, 9))
def test_normal_rows_do_not_depend_on_the_batch(
    seed: int, start: int, n: int, skip: int, dim: int
) -> None:
    whole = normal(seed, start, skip + n, dim, stream="samples")
    part = normal(seed, start + skip, n, dim, stream="samples")
    assert part.shape == (n, dim)
    assert torch.equal(whole[skip:], part)


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1, 13))
def test_normal_values_are_unique(seed: int, dim: int) -> None:
    values = normal(seed, 0, 50, dim, stream="samples").flatten().tolist()
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("dim", [1, 3, 4, 7])
def test_normal_is_standard_normal(dim: int) -> None:
    rows = normal(3, 0, 20_000, dim, stream="samples")
    for column in rows.T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-4
    covariance = torch.atleast_2d(torch.cov(rows.T))
    torch.testing.assert_close(covariance, torch.eye(dim), atol=0.04, rtol=0.0)
    neighbours = torch.corrcoef(torch.stack([rows[:-1, 0], rows[1:, 0]]))[0, 1]
    assert abs(neighbours) < 0.04


def test_normal_rows_differ_between_seeds() -> None:
    rows = [
        tuple(normal(seed, 0, 1, 4, stream="samples")[0].tolist())
        for seed in (0, 1, -1, -2, 2**63, 2**63 + 1)
    ]
    assert len(set(rows)) == len(rows)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), SEEDS, st.integers(0, 2**40))
def test_permutation_is_valid_and_repeatable(n: int, seed: int, epoch: int) -> None:
    order = permutation(n, seed, epoch)
    assert order.dtype == torch.int64
    assert order.sort().values.tolist() == list(range(n))
    assert torch.equal(order, permutation(n, seed, epoch))


def test_permutations_differ_between_epochs_and_seeds() -> None:
    keys = [(seed, epoch) for seed in (0, 1, -1, -2, 2**63, 2**63 + 1) for epoch in range(3)]
    orders = {tuple(permutation(30, *key).tolist()) for key in keys}
    assert len(orders) == len(keys)


def test_streams_and_epochs_of_a_seed_differ() -> None:
    codes, samples = (set(normal(0, 0, 500, 8, stream=s).flatten().tolist()) for s in STREAMS)
    assert not codes & samples
    orders = {tuple(permutation(40, 0, epoch).tolist()) for epoch in range(20)}
    assert len(orders) == 20


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 9000), st.integers(1, 10_000), SEEDS, st.integers(0, 3))
def test_permutation_within_is_valid_and_repeatable(
    n: int, within: int, seed: int, part: int
) -> None:
    order = permutation_within(n, seed, 4, part, within=within)
    assert torch.equal(order.sort().values, torch.arange(n))
    assert torch.equal(order, permutation_within(n, seed, 4, part, within=within))


def test_permutation_within_mixes_few_runs() -> None:
    order = permutation_within(100_000, 0, 0, within=8192)
    for stretch in order[:90_112].split(8192):
        assert len(torch.unique(stretch // 1024)) <= 9
    # Neighbours in the order are not neighbours in the file.
    assert float(((order[1:] - order[:-1]).abs() == 1).float().mean()) < 0.001
    other = permutation_within(100_000, 0, 1, within=8192)
    assert not torch.equal(other, order)
