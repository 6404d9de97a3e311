"""Sums of losses and their spelling."""

import math

import pytest
import torch

from glo.errors import UserError
from glo.losses import L1Loss, Lap1Loss, Loss, MSELoss, WeightedSum, parse_loss


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mse", MSELoss()),
        (" l1 ", L1Loss()),
        ("1*lap1", Lap1Loss()),
        ("2*mse", WeightedSum(terms=((2.0, MSELoss()),))),
        ("0.5*mse+lap1", WeightedSum(terms=((0.5, MSELoss()), (1.0, Lap1Loss())))),
        ("mse+1e+3 * l1", WeightedSum(terms=((1.0, MSELoss()), (1e3, L1Loss())))),
        ("1.e-2*mse + .5*l1", WeightedSum(terms=((0.01, MSELoss()), (0.5, L1Loss())))),
    ],
)
def test_spelling(text: str, expected: Loss) -> None:
    assert parse_loss(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lap", "There is no loss 'lap' in 'lap'; choose .* Did you mean 'lap1'?"),
        ("", "There is no loss '' in ''"),
        ("mse+", "There is no loss '' in 'mse"),
        ("mse*0.5", "There is no loss '0.5'"),
        ("two*mse", "The weight 'two' .* is not a number"),
        ("*mse", "The weight '' .* is not a number"),
        ("0*mse", "must be a number above 0, not 0.0"),
        ("-1*mse", "must be a number above 0, not -1.0"),
        ("nan*mse+l1", "must be a number above 0, not nan"),
        ("inf*mse", "must be a number above 0, not inf"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_loss(text)


def test_a_sum_is_the_sum() -> None:
    x, y = torch.rand(2, 3, 1, 16, 16)
    value = parse_loss("0.5*mse+2*l1")(x, y)
    torch.testing.assert_close(value, 0.5 * MSELoss()(x, y) + 2 * L1Loss()(x, y))


def test_an_empty_sum_is_refused() -> None:
    with pytest.raises(UserError, match="at least one term"):
        WeightedSum(terms=())
    with pytest.raises(UserError, match="above 0"):
        WeightedSum(terms=((math.nan, MSELoss()),))


def test_known_values() -> None:
    x, y = torch.tensor([[1.0, 2.0], [0.0, 4.0]]), torch.zeros(2, 2)
    assert MSELoss()(x, y).tolist() == [2.5, 8.0]
    assert L1Loss()(x, y).tolist() == [1.5, 2.0]
    mask = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert MSELoss()(x, y, mask).tolist() == [4.0, 0.0]
