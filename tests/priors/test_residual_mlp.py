"""Batches, rates and averages of the priors that are networks."""

import pytest
import torch
from torch import nn

from glo.priors.residual_mlp import averaged, batches, cosine, private_generator, seeded


def test_each_row_comes_once_a_pass() -> None:
    rows = torch.cat(list(batches(12, 4, 6, private_generator(0))))
    assert sorted(rows[:12].tolist()) == list(range(12))
    assert sorted(rows[12:].tolist()) == list(range(12))
    assert rows[:12].tolist() != rows[12:].tolist()


def test_a_rest_that_is_too_small_is_left_out() -> None:
    drawn = [rows.tolist() for rows in batches(7, 3, 5, private_generator(0))]
    assert [len(set(rows)) for rows in drawn] == [3] * 5
    assert not set(drawn[0]) & set(drawn[1])


def test_a_batch_is_never_larger_than_the_rows() -> None:
    assert [len(rows) for rows in batches(3, 100, 2, private_generator(0))] == [3, 3]


def test_the_rate_falls_from_one_to_almost_nothing() -> None:
    rates = [cosine(step, 100) for step in range(100)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-3


def test_the_average_is_the_stated_recursion() -> None:
    layer = nn.Linear(1, 1, bias=False)
    average, expected = averaged(layer, 0.4), 0.0
    for t in range(20):
        with torch.no_grad():
            layer.weight.fill_(float(t))
        average.update_parameters(layer)
        # The first update copies; then d = min(0.4, (1 + t) / (10 + t)).
        keep = min(0.4, (1 + t) / (10 + t)) if t else 0.0
        expected = keep * expected + (1 - keep) * t
    assert average.module.weight.item() == pytest.approx(expected)


def test_weights_are_a_function_of_the_seed() -> None:
    made = []
    for seed in (1, 1, 2, -1, 2**64 + 7):
        torch.manual_seed(len(made))
        with seeded(seed):
            made.append(nn.Linear(3, 3).weight.detach())
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
