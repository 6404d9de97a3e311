"""Operators agree with SciPy and Pillow, and say what they cannot take."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from glo.errors import UserError
from glo.inversion import AveragePool, Blur, Chain, Grey


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, shape).astype("float32"))


def test_average_pool_is_the_mean_of_squares() -> None:
    images = noise(2, 3, 8, 12)
    wanted = images.view(2, 3, 2, 4, 3, 4).mean((3, 5))
    torch.testing.assert_close(AveragePool(factor=4)(images), wanted)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.3])
def test_blur_is_scipys(sigma: float) -> None:
    images = noise(2, 3, 16, 12)
    reach = int(np.ceil(3 * sigma))
    wanted = gaussian_filter(
        images.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, reach, reach)
    )
    np.testing.assert_allclose(Blur(sigma=sigma)(images).numpy(), wanted, atol=1e-5)


def test_grey_is_pillows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    wanted = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float64) / 127.5 - 1
    np.testing.assert_allclose(Grey()(images)[0, 0].numpy(), wanted, atol=1.01 / 127.5)


def test_a_chain_goes_from_first_to_last() -> None:
    images = noise(2, 3, 8, 8)
    both = Chain(parts=(Grey(), AveragePool(factor=2)))(images)
    torch.testing.assert_close(both, AveragePool(factor=2)(Grey()(images)))


@pytest.mark.parametrize("operator", [AveragePool(factor=2), Blur(sigma=1.0), Grey()])
def test_rows_do_not_meet(operator: AveragePool | Blur | Grey) -> None:
    images = noise(3, 3, 8, 8)
    torch.testing.assert_close(operator(images)[1:2], operator(images[1:2]))


@pytest.mark.parametrize("factor", [0, -1, 1.5, True, "2"])
def test_a_factor_is_a_whole_number(factor: object) -> None:
    with pytest.raises(UserError, match="factor"):
        AveragePool(factor=factor)  # type: ignore[arg-type]


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sigma_is_above_zero(sigma: float) -> None:
    with pytest.raises(UserError, match="sigma"):
        Blur(sigma=sigma)


def test_operators_say_what_they_cannot_take() -> None:
    with pytest.raises(UserError, match="divides both sides"):
        AveragePool(factor=3)(noise(1, 1, 8, 8))
    with pytest.raises(UserError, match="smaller sigma"):
        Blur(sigma=3.0)(noise(1, 1, 8, 8))
    with pytest.raises(UserError, match="3 channels, not 1"):
        Grey()(noise(1, 1, 8, 8))
    with pytest.raises(UserError, match="vectors need a function"):
        Blur(sigma=1.0)(noise(2, 8))
