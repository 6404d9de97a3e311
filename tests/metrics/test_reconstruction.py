"""PSNR and SSIM: values known by hand, one number per image, invalid shapes."""

import numpy as np
import pytest
import torch

from glo.errors import UserError
from glo.metrics import psnr, ssim


def _images(n: int = 4, channels: int = 1, side: int = 16) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_that_of_the_squared_error(channels: int) -> None:
    a = 0.5 * _images(channels=channels)
    b = 0.9 * a
    expected = 10 * np.log10(4 / (a - b).square().flatten(1).mean(1).numpy())
    np.testing.assert_allclose(psnr(a, b).numpy(), expected, rtol=1e-5)
    assert torch.isinf(psnr(a, a)).all()


def test_psnr_sees_pixels_as_a_file_would_hold_them() -> None:
    white = torch.ones(1, 1, 8, 8)
    assert torch.isinf(psnr(white * 3, white)).all()


def test_ssim_of_constants_is_its_luminance_term() -> None:
    # Pixels 0.25 and 0.75 of [0, 1], no contrast: (2 x y + c) / (x^2 + y^2 + c).
    dark, light = torch.full((2, 1, 16, 16), -0.5), torch.full((2, 1, 16, 16), 0.5)
    c = 0.01**2
    expected = (2 * 0.25 * 0.75 + c) / (0.25**2 + 0.75**2 + c)
    assert ssim(dark, light).tolist() == pytest.approx([expected] * 2, rel=1e-3)


@pytest.mark.parametrize("n", [1, 3])
def test_ssim_of_each_image_alone(n: int) -> None:
    a = _images(n, channels=3)
    b = a.clone()
    b[0] = -b[0]
    found = ssim(a, b)
    assert found.shape == (n,)
    assert found[0] < 0.2
    assert found[1:].tolist() == pytest.approx([1.0] * (n - 1))


def test_ssim_needs_six_pixels() -> None:
    small = _images(side=6)
    assert ssim(small, small).tolist() == pytest.approx([1.0] * 4)
    with pytest.raises(UserError, match="at least 6 pixels"):
        ssim(small[..., 1:], small[..., 1:])


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_other_shapes_and_vectors_are_refused(measure) -> None:
    for a, b in ((_images(2), _images(3)), (torch.zeros(2, 9), torch.zeros(2, 9))):
        with pytest.raises(UserError, match="prediction and target"):
            measure(a, b)
