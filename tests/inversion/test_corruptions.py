"""Masks hide their region, and the noise of a row does not depend on the batch."""

import pytest
import torch

from glo.errors import UserError
from glo.inversion import add_noise, half_mask, hole_mask


@pytest.mark.parametrize("half", ["left", "right", "top", "bottom"])
def test_a_half_is_hidden(half: str) -> None:
    mask = half_mask((3, 6, 4), half)  # type: ignore[arg-type]
    assert mask.shape == (1, 1, 6, 4)
    assert mask.mean() == 0.5
    corner = {"left": (0, 0), "top": (0, 0), "right": (5, 3), "bottom": (5, 3)}[half]
    other = {"left": (0, 3), "top": (5, 0), "right": (0, 0), "bottom": (0, 0)}[half]
    assert mask[0, 0][corner] == 0
    assert mask[0, 0][other] == 1


def test_a_hole_is_in_the_middle() -> None:
    mask = hole_mask((1, 32, 32), 16)
    assert float(1 - mask.mean()) == 0.25
    assert float(mask[..., 8:24, 8:24].sum()) == 0


@pytest.mark.parametrize("side", [0, -2, 8, 9])
def test_a_hole_is_smaller_than_the_image(side: int) -> None:
    with pytest.raises(UserError, match="hole"):
        hole_mask((1, 8, 8), side)


def test_masks_are_for_images() -> None:
    with pytest.raises(UserError, match="for images"):
        half_mask((8,), "left")


def test_noise_belongs_to_the_row() -> None:
    noisy = add_noise(torch.ones(1000, 1, 2, 2), 0.5, seed=3)
    parts = [add_noise(torch.ones(500, 1, 2, 2), 0.5, seed=3, start=s) for s in (0, 500)]
    assert torch.equal(noisy, torch.cat(parts))
    assert abs(float(noisy.mean()) - 1) < 0.03
    assert abs(float(noisy.std()) - 0.5) < 0.02
    assert not torch.equal(noisy, add_noise(torch.ones(1000, 1, 2, 2), 0.5, seed=4))
