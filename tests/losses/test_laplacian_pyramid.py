"""Lap1 against a pyramid written with scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from glo.errors import UserError
from glo.losses import L1Loss, Lap1Loss
from glo.losses.laplacian_pyramid import laplacian_pyramid

TAPS = np.array([1, 4, 6, 4, 1]) / 16


def blur(image: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
        image = ndimage.correlate1d(image, TAPS, axis=axis, mode="mirror")
    return image


def double(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Put zeros between the pixels and blur; divide by what the zeros took away."""
    spread, count = np.zeros(shape), np.zeros(shape)
    spread[::2, ::2] = image
    count[::2, ::2] = 1
    return blur(spread) / blur(count)


def pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    bands = []
    for _ in range(levels):
        smaller = blur(image)[::2, ::2]
        bands.append(image - double(smaller, image.shape))
        image = smaller
    return [*bands, image]


def masked_pyramid(
    image: np.ndarray, weight: np.ndarray, levels: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    bands = []
    for _ in range(levels):
        less = blur(weight)[::2, ::2]
        smaller = np.divide(
            blur(image * weight)[::2, ::2], less, out=np.zeros_like(less), where=less > 0
        )
        total = double(less, image.shape)
        larger = np.divide(
            double(smaller * less, image.shape), total, out=np.zeros_like(total), where=total > 0
        )
        bands.append((image - larger, weight))
        image, weight = smaller, less
    return [*bands, (image, weight)]


sides = st.integers(1, 40)


@settings(deadline=None, max_examples=80)
@given(height=sides, width=sides, seed=st.integers(0, 999), weighting=st.booleans())
def test_agrees_with_scipy(height: int, width: int, seed: int, weighting: bool) -> None:
    levels = (min(height, width) - 1).bit_length()
    x, y = np.random.default_rng(seed).normal(size=(2, height, width))
    pairs = zip(pyramid(x, levels), pyramid(y, levels), strict=True)
    means = [np.abs(own - other).mean() for own, other in pairs]
    decay = 1 / 16 if weighting else 1
    loss = Lap1Loss(levels=levels, weighting="fine" if weighting else "coarse")
    value = loss(torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None])
    assert value.item() == pytest.approx(sum(decay**j * m for j, m in enumerate(means)), rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(height=sides, width=sides, seed=st.integers(0, 999), share=st.floats(0, 1))
def test_masked_agrees_with_scipy(height: int, width: int, seed: int, share: float) -> None:
    levels = (min(height, width) - 1).bit_length()
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(height, width))
    seen = (rng.random((height, width)) < share).astype(float)
    bands = masked_pyramid(x * seen, seen, levels)
    expected = sum(np.abs(b * w).sum() / max(w.sum(), 1e-300) for b, w in bands)
    image, mask = (torch.from_numpy(each)[None, None] for each in (x, seen))
    value = Lap1Loss(levels=levels)(image, torch.zeros_like(image), mask)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_the_printed_powers_are_the_means_on_powers_of_two() -> None:
    x = torch.randn(1, 1, 32, 32)
    bands = [band.abs().sum().item() for band, _ in laplacian_pyramid(x, None, 3)]
    for weighting, power in (("coarse", 2), ("fine", -2)):
        loss = Lap1Loss(levels=3, weighting=weighting)  # type: ignore[arg-type]
        expected = sum(2.0 ** (power * j) * band for j, band in enumerate(bands)) / 32**2
        assert loss(x, torch.zeros_like(x)).item() == pytest.approx(expected, rel=1e-5)


def test_nothing_is_dropped() -> None:
    """The pyramid holds the whole image, the coarsest level included."""
    x = torch.randn(1, 1, 21, 16, dtype=torch.float64)
    *bands, residual = (band for band, _ in laplacian_pyramid(x, None, 3))
    image = residual[0, 0].numpy()
    for band in reversed(bands):
        image = band[0, 0].numpy() + double(image, band.shape[2:])
    np.testing.assert_allclose(image, x[0, 0].numpy(), atol=1e-12)


def test_a_blurred_difference_costs_more_than_noise_of_the_same_size() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 64, 64, generator=generator).sign()
    smooth = torch.ones(1, 1, 64, 64)
    smooth[..., 32:] = -1
    zero = torch.zeros_like(noise)
    assert L1Loss()(noise, zero) == L1Loss()(smooth, zero)
    fine = Lap1Loss(weighting="fine")
    assert Lap1Loss()(smooth, zero) / Lap1Loss()(noise, zero) > 3 * fine(smooth, zero) / fine(
        noise, zero
    )


@pytest.mark.parametrize(("side", "levels"), [(2, 0), (7, 0), (8, 1), (32, 3), (36, 3), (256, 6)])
def test_default_levels(side: int, levels: int) -> None:
    x = torch.randn(1, 1, side, side)
    zero = torch.zeros_like(x)
    assert torch.equal(Lap1Loss()(x, zero), Lap1Loss(levels=levels)(x, zero))


@pytest.mark.parametrize("side", [2, 3, 4])
def test_a_single_seen_pixel_survives_every_level(side: int) -> None:
    x = torch.full((1, 1, 2**side, 2**side), 0.5)
    mask = torch.zeros_like(x)
    mask[..., 0, -1] = 1
    value = Lap1Loss(levels=side)(x, torch.zeros_like(x), mask)
    torch.testing.assert_close(value, torch.tensor([0.5]))


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match=r"weighting.*'even'"):
        Lap1Loss(weighting="even")  # type: ignore[arg-type]
    for levels in (-1, 1.5, True):
        with pytest.raises(UserError, match="levels"):
            Lap1Loss(levels=levels)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="9x20; use at most 4"):
        Lap1Loss(levels=5)(torch.zeros(1, 1, 9, 20), torch.zeros(1, 1, 9, 20))
    with pytest.raises(UserError, match=r"\(9,\)"):
        Lap1Loss()(torch.zeros(2, 9), torch.zeros(2, 9))
