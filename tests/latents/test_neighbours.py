"""Blocked nearest-neighbour search against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances
from torch import Tensor

from glo.errors import UserError
from glo.latents.neighbours import distance_blocks, nearest, neighbours


def draw(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, dim)).astype("float32"))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (50, 7), (600, 400)])
def test_blocks_together_are_all_distances(n: int, m: int) -> None:
    queries, points = draw(n, 5).double(), draw(m, 5, 1).double() * 2
    blocks = list(distance_blocks(queries, points))
    assert [rows.start for rows, _ in blocks] == [0, *[rows.stop for rows, _ in blocks][:-1]]
    distances = torch.cat([block for _, block in blocks])
    expected = pairwise_distances(queries, points)
    np.testing.assert_allclose(distances, expected, atol=1e-9)
    minima, rows = nearest(queries, points)
    assert rows.tolist() == expected.argmin(1).tolist()
    np.testing.assert_allclose(minima, expected.min(1), atol=1e-9)


def test_neighbours_are_the_nearest_in_a_stable_order() -> None:
    codes = draw(500, 4)
    rows, distances = neighbours(codes, codes[7], 20)
    expected = torch.cdist(codes[7:8].double(), codes.double())[0]
    assert (rows[0], distances[0]) == (7, 0)
    assert rows.tolist() == expected.argsort()[:20].tolist()
    torch.testing.assert_close(distances, expected[rows].float(), atol=1e-6, rtol=1e-5)
    assert neighbours(torch.zeros(6, 2), torch.ones(2), 9)[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_invalid_arguments_are_named() -> None:
    codes = draw(2, 3)
    with pytest.raises(UserError, match="k is 0"):
        neighbours(codes, codes[0], 0)
    with pytest.raises(UserError, match=r"shapes \(2,\) and \(2, 3\)"):
        neighbours(codes, codes[0, :2], 1)
