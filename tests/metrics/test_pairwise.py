"""Distances in blocks against sklearn, and where single precision would fail."""

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from glo.metrics import pairwise
from glo.metrics.pairwise import nearest_distance, neighbour_radius, squared_blocks


@pytest.fixture(params=[2**24, 70], ids=["one block", "many blocks"], autouse=True)
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise, "_BLOCK", request.param)


def _sets() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    return torch.randn(41, 5, generator=draw), torch.randn(23, 5, generator=draw) * 2


def test_blocks_together_are_all_squared_distances() -> None:
    a, b = _sets()
    found = list(squared_blocks(a, b))
    assert [rows.start for rows, _ in found] == [0, *[rows.stop for rows, _ in found][:-1]]
    squared = torch.cat([block for _, block in found])
    expected = pairwise_distances(a.double().numpy(), b.double().numpy()) ** 2
    np.testing.assert_allclose(squared.numpy(), expected, rtol=1e-12)


def test_nearest_distance_is_that_of_sklearn() -> None:
    a, b = _sets()
    expected, _ = NearestNeighbors(n_neighbors=1).fit(b.double().numpy()).kneighbors(a.double())
    np.testing.assert_allclose(nearest_distance(a, b).numpy(), expected[:, 0], rtol=1e-12)


def test_neighbour_radius_leaves_the_point_itself_out() -> None:
    a, _ = _sets()
    expected, _ = NearestNeighbors(n_neighbors=4).fit(a.double().numpy()).kneighbors()
    np.testing.assert_allclose(neighbour_radius(a, 4).sqrt().numpy(), expected[:, 3], rtol=1e-12)


def test_duplicates_far_from_the_origin_have_distance_zero() -> None:
    points = torch.cat([_sets()[0], _sets()[0]]) + 3000.0
    assert float(nearest_distance(points, points).max()) < 1e-6
    assert float(neighbour_radius(points, 1).max()) < 1e-12
