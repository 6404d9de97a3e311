"""Memorisation test: copies, fresh examples and underfit samples."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from glo.errors import UserError
from glo.metrics import Memorisation, MemorisationTest, copying_score


def _blobs(n: int, seed: int, spread: float = 1.0) -> Tensor:
    """Four clusters in eight dimensions."""
    draw = torch.Generator().manual_seed(seed)
    centres = 10 * torch.randn(4, 8, generator=torch.Generator().manual_seed(99))
    which = torch.randint(4, (n,), generator=draw)
    return centres[which] + spread * torch.randn(n, 8, generator=draw)


@pytest.fixture(scope="module")
def copies() -> MemorisationTest:
    return MemorisationTest(_blobs(2000, 1), _blobs(1000, 2), features="blobs")


def test_exact_copies_are_found(copies: MemorisationTest) -> None:
    found = copies(_blobs(2000, 1)[:1000])
    assert found.samples_distance < 1e-6 < found.heldout_distance
    assert found.nearer_share == 1.0
    assert found.copying < -10
    assert "look for copies" in found.sentence
    assert (found.n_samples, found.n_training, found.n_heldout) == (1000, 2000, 1000)
    assert found.cells == 5


def test_blurred_copies_are_found(copies: MemorisationTest) -> None:
    found = copies(_blobs(2000, 1)[:1000] + 0.05)
    assert found.copying < -10


def test_fresh_examples_are_not_copies(copies: MemorisationTest) -> None:
    for seed in (3, 4, 5):
        found = copies(_blobs(1000, seed))
        assert abs(found.copying) < 3
        assert found.nearer_share < 0.03
        assert found.samples_distance == pytest.approx(found.heldout_distance, rel=0.05)
    assert "; no copies (" in found.sentence


def test_underfit_samples_lie_above_zero(copies: MemorisationTest) -> None:
    found = copies(_blobs(1000, 3, spread=2.0))
    assert found.copying > 5
    assert found.nearer_share < 0.01
    assert "further from training examples" in found.sentence


def test_copies_in_one_cell_alone_are_found_by_the_cells(copies: MemorisationTest) -> None:
    # A quarter copied and the rest spread wide: all distances in one heap would cancel out.
    training, wide = _blobs(2000, 1), _blobs(1000, 3, spread=1.2)
    centre = 10 * torch.randn(4, 8, generator=torch.Generator().manual_seed(99))[0]
    beside = (wide - centre).norm(dim=1) < 10
    nearest = training[((training - centre).norm(dim=1) < 10).nonzero()[:, 0]]
    wide[beside] = nearest[: int(beside.sum())]
    one, two = copies(wide), copies(_blobs(1000, 3, spread=1.2))
    assert one.copying < two.copying - 2
    assert one.nearer_share > 0.1


def test_the_score_is_the_formula_weighted_by_held_out_examples() -> None:
    draw = np.random.default_rng(0)
    own, unseen = draw.normal(size=90), draw.normal(size=70) + 0.3
    own_cells, unseen_cells = np.repeat([0, 1, 2], [40, 40, 10]), np.repeat([0, 1, 2], [50, 15, 5])
    total, weight = 0.0, 0
    for cell in (0, 1):
        q, p = own[own_cells == cell], unseen[unseen_cells == cell]
        u = sum(float(a > b) for a in q for b in p)
        m, n = len(q), len(p)
        total += n * (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)
        weight += n
    score, cells = copying_score(
        torch.from_numpy(own), torch.from_numpy(unseen), own_cells, unseen_cells
    )
    assert cells == 2, "the third has ten samples"
    assert score == pytest.approx(total / weight)


def test_too_few_samples_are_reported(copies: MemorisationTest) -> None:
    found = copies(_blobs(10, 3))
    assert math.isnan(found.copying)
    assert found.cells == 0
    assert "too few" in found.sentence


def test_the_same_seed_gives_the_same_figures() -> None:
    sets = _blobs(1500, 1), _blobs(800, 2)
    samples = _blobs(800, 3)
    first, second = (MemorisationTest(*sets, features="blobs", seed=4)(samples) for _ in range(2))
    assert dataclasses.asdict(first) == dataclasses.asdict(second)
    assert isinstance(first, Memorisation)


def test_other_features_are_refused(copies: MemorisationTest) -> None:
    with pytest.raises(UserError, match="cannot be compared"):
        copies(torch.zeros(5, 3))
