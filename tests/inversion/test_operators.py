"""Operators agree with SciPy and Pillow, and refuse other inputs."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from glo.errors import UserError
from glo.inversion import AveragePool, Blur, Compose, Grayscale


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, shape).astype("float32"))


def test_average_pool_is_the_mean_of_squares() -> None:
    images = noise(2, 3, 8, 12)
    expected = images.view(2, 3, 2, 4, 3, 4).mean((3, 5))
    torch.testing.assert_close(AveragePool(factor=4)(images), expected)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.3])
def test_blur_is_scipys(sigma: float) -> None:
    images = noise(2, 3, 16, 12)
    radius = int(np.ceil(3 * sigma))
    expected = gaussian_filter(
        images.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, radius, radius)
    )
    np.testing.assert_allclose(Blur(sigma=sigma)(images).numpy(), expected, atol=1e-5)


def test_grey_is_pillows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float64) / 127.5 - 1
    np.testing.assert_allclose(Grayscale()(images)[0, 0].numpy(), expected, atol=1.01 / 127.5)


def test_a_chain_goes_from_first_to_last() -> None:
    images = noise(2, 3, 8, 8)
    both = Compose(parts=(Grayscale(), AveragePool(factor=2)))(images)
    torch.testing.assert_close(both, AveragePool(factor=2)(Grayscale()(images)))


@pytest.mark.parametrize("operator", [AveragePool(factor=2), Blur(sigma=1.0), Grayscale()])
def test_rows_do_not_influence_each_other(operator: AveragePool | Blur | Grayscale) -> None:
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


def test_operators_refuse_other_shapes() -> None:
    with pytest.raises(UserError, match="factor 3"):
        AveragePool(factor=3)(noise(1, 1, 8, 8))
    with pytest.raises(UserError, match="sigma 3"):
        Blur(sigma=3.0)(noise(1, 1, 8, 8))
    with pytest.raises(UserError, match="not 1"):
        Grayscale()(noise(1, 1, 8, 8))
    with pytest.raises(UserError, match=r"\(2, 8\)"):
        Blur(sigma=1.0)(noise(2, 8))
