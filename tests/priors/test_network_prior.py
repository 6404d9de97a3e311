"""Batches, averaged weights, schedule and early stopping of the priors that are networks."""

import pytest
import torch
from torch import nn

from glo.priors.early_stopping import EarlyStopping
from glo.priors.network_prior import (
    average_weights,
    make_generator,
    random_batches,
    seeded,
    train_network,
)


def take(n: int, size: int, count: int) -> list[list[int]]:
    batches = random_batches(n, size, make_generator(0))
    return [next(batches).tolist() for _ in range(count)]


def test_each_row_is_drawn_once_per_pass() -> None:
    rows = [row for batch in take(12, 4, 6) for row in batch]
    assert sorted(rows[:12]) == sorted(rows[12:]) == list(range(12))
    assert rows[:12] != rows[12:]


def test_batches_are_of_equal_size_and_without_repetition() -> None:
    batches = take(7, 3, 5)
    assert [len(set(rows)) for rows in batches] == [3] * 5
    assert not set(batches[0]) & set(batches[1])
    assert [len(rows) for rows in take(3, 100, 2)] == [3, 3]


def test_the_average_is_the_stated_recursion() -> None:
    layer = nn.Linear(1, 1, bias=False)
    average, expected = average_weights(layer, 0.4), 0.0
    for t in range(20):
        with torch.no_grad():
            layer.weight.fill_(float(t))
        average.update_parameters(layer)
        # The first update copies; then d = min(0.4, (1 + t) / (10 + t)).
        decay = min(0.4, (1 + t) / (10 + t)) if t else 0.0
        expected = decay * expected + (1 - decay) * t
    assert average.module.weight.item() == pytest.approx(expected)


def test_weights_are_a_function_of_the_seed() -> None:
    weights = []
    for seed in (1, 1, 2, -1, 2**64 + 7):
        torch.manual_seed(len(weights))
        with seeded(seed):
            weights.append(nn.Linear(3, 3).weight.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_weights_with_the_lowest_heldout_loss_are_returned() -> None:
    layer = nn.Linear(1, 1)
    losses = iter([3.0, 1.0, 2.0, 1.5, 1.1, 2.0, 0.0])
    weights: list[float] = []

    def heldout_loss(trial: nn.Linear) -> float:
        weights.append(trial.weight.item())
        return next(losses)

    training = train_network(
        layer,
        torch.optim.SGD(layer.parameters()),
        lambda: [layer(torch.ones(2, 1)).square().sum()],
        steps=70,
        lr=0.01,
        ema_decay=0.5,
        checks=7,
        heldout_loss=heldout_loss,
    )
    fractions = []
    while True:
        try:
            fractions.append(next(training))
        except StopIteration as stop:
            best = stop.value
            break
    # The second is the best, and four checks without gain end the training.
    assert fractions == pytest.approx([1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7])
    assert len(weights) == 6
    assert best.weight.item() == weights[1]


def test_losses_that_are_not_finite_never_are_the_best() -> None:
    layer = nn.Linear(1, 1)
    stopping = EarlyStopping(layer, patience=2)
    assert not stopping.update(nn.Linear(1, 1), float("nan"))
    assert stopping.update(nn.Linear(1, 1), float("inf"))
    assert stopping.best is layer
