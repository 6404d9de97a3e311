"""Precision, recall, density and coverage against loops over sklearn's neighbours."""

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from glo.errors import UserError
from glo.metrics import precision_recall_density_coverage


def _brute(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    x, y = real.double().numpy(), fake.double().numpy()
    reach = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()[0][:, -1]
    reach_fake = NearestNeighbors(n_neighbors=k).fit(y).kneighbors()[0][:, -1]
    far = pairwise_distances(x, y)
    precise = [any(far[i, j] <= reach[i] for i in range(len(x))) for j in range(len(y))]
    recalled = [any(far[i, j] <= reach_fake[j] for j in range(len(y))) for i in range(len(x))]
    dense = [sum(far[i, j] <= reach[i] for i in range(len(x))) / k for j in range(len(y))]
    covered = [any(far[i, j] <= reach[i] for j in range(len(y))) for i in range(len(x))]
    return tuple(float(np.mean(each)) for each in (precise, recalled, dense, covered))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_counts_are_those_of_loops(k: int) -> None:
    draw = torch.Generator().manual_seed(k)
    real = torch.randn(60, 3, generator=draw)
    fake = 0.7 * torch.randn(40, 3, generator=draw) + 0.4
    found = precision_recall_density_coverage(real, fake, k=k)
    counted = (found.precision, found.recall, found.density, found.coverage)
    assert counted == pytest.approx(_brute(real, fake, k), abs=1e-12)
    assert len(set(counted)) == 4, "a case that tells the four apart"
    assert (found.k, found.n_real, found.n_fake) == (k, 60, 40)


def test_the_four_fail_where_they_should() -> None:
    draw = torch.Generator().manual_seed(0)
    clusters = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
    real = (clusters[:, None] + torch.randn(2, 200, 2, generator=draw)).flatten(0, 1)
    one = torch.randn(400, 2, generator=draw)
    dropped = precision_recall_density_coverage(real, one)
    assert dropped.precision > 0.9
    assert dropped.recall < 0.6
    assert dropped.coverage < 0.6
    away = precision_recall_density_coverage(real, real + 500.0)
    assert (away.precision, away.recall, away.density, away.coverage) == (0, 0, 0, 0)


def test_few_rows_and_a_k_below_one_are_refused() -> None:
    rows = torch.randn(5, 2)
    with pytest.raises(UserError, match="at least 6 rows"):
        precision_recall_density_coverage(rows, rows)
    with pytest.raises(UserError, match="k is 0"):
        precision_recall_density_coverage(rows, rows, k=0)
