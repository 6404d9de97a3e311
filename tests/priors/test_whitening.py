"""Whitening against scikit-learn's, and codes it can hardly whiten."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from glo.priors.whitening import Whitening
from glo.utils.random import normal

MIX = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.2, 0.1]])


def codes() -> torch.Tensor:
    return (normal(1, 0, 400, 3, stream="codes") @ MIX.T + 5.0).double()


def test_lengths_are_those_of_whitened_principal_components() -> None:
    ready = Whitening.fit(codes()).forward(codes())
    whitened = PCA(whiten=True).fit_transform(codes().numpy()) * np.sqrt(400 / 399)
    np.testing.assert_allclose(ready.norm(dim=1), np.linalg.norm(whitened, axis=1), rtol=1e-3)


def test_there_and_back() -> None:
    whiten = Whitening.fit(codes())
    torch.testing.assert_close(whiten.inverse(whiten.forward(codes())), codes())
    again = Whitening.from_state_dict(whiten.state_dict() | {"other": torch.zeros(1)})
    assert torch.equal(again.forward(codes()), whiten.forward(codes()))


def test_the_change_of_volume() -> None:
    whiten = Whitening.fit(codes())
    jacobian = torch.autograd.functional.jacobian(
        lambda row: whiten.forward(row[None])[0], codes()[0]
    )
    assert whiten.log_det == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]))


def test_a_column_that_never_changes_is_zero() -> None:
    rows = codes()
    rows[:, 1] = 0.3
    whiten = Whitening.fit(rows)
    assert whiten.forward(rows)[:, 1].abs().max() < 1e-6
    drawn = whiten.inverse(normal(2, 0, 50, 3, stream="samples"))
    assert (drawn[:, 1] - 0.3).abs().max() < 1e-5


def test_columns_that_repeat_one_another() -> None:
    column = codes()[:, :1]
    rows = torch.cat([column, -2 * column, column + 1], dim=1)
    whiten = Whitening.fit(rows)
    ready = whiten.forward(rows)
    assert ready.abs().max() < 10
    torch.testing.assert_close(whiten.inverse(ready), rows)


def test_rows_of_other_moments_get_those_of_the_codes() -> None:
    rows = (normal(2, 0, 400, 3, stream="codes") @ torch.rand(3, 3)).double()
    colored = Whitening.fit(rows).then_inverse(Whitening.fit(codes())).inverse(rows)
    torch.testing.assert_close(colored.mean(0), codes().mean(0))
    # Both add a small ridge.
    torch.testing.assert_close(torch.cov(colored.T), torch.cov(codes().T), rtol=1e-3, atol=1e-4)
