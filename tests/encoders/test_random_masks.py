"""Random masks of a fit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glo.encoders.random_masks import random_masks


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("shape", [(3, 12, 20), (9,)])
def test_half_of_the_masks_are_complete(shape: tuple[int, ...]) -> None:
    masks = random_masks(400, shape, generator()).flatten(1)
    assert masks[200:].min() == 1
    assert masks[:200].amin(1).mean() < 0.2
    assert set(masks.unique().tolist()) == {0.0, 1.0}


def test_rectangles_are_of_many_sizes_and_strips_span_a_side() -> None:
    masks = random_masks(4000, (1, 16, 24), generator())[1000:2000, 0]
    hidden = 1 - masks
    rows, columns = hidden.amax(2), hidden.amax(1)
    # A rectangle is the outer product of the rows and columns it touches.
    assert torch.equal(hidden, rows.unsqueeze(2) * columns.unsqueeze(1))
    assert 0.1 < rows.mean(1).eq(1).float().mean() < 0.5
    assert 0.1 < columns.mean(1).eq(1).float().mean() < 0.5
    assert hidden.flatten(1).mean(1).max() <= 0.76


@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_shapes(n: int, height: int, width: int) -> None:
    assert random_masks(n, (2, height, width), generator()).shape == (n, 1, height, width)
