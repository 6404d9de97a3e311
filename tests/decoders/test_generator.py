"""Layer tables of the two convolutional decoders, and the sides they accept."""

import re

import pytest
import torch
from torch import nn

from glo.decoders import DCGAN, Decoder, TensorLayerDCGAN
from glo.decoders.gemm_upsample import Upsample
from glo.decoders.generator import CodeToMap
from glo.errors import UserError


def maps(decoder: Decoder) -> list[int]:
    """Channels of each normalised map, the smallest map first."""
    return [layer.num_features for layer in decoder.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("side", "width", "expected"),
    [
        (8, 64, [64]),
        (32, 64, [256, 128, 64]),
        (64, 128, [1024, 512, 256, 128]),
        (256, 2, [16, 16, 16, 8, 4, 2]),
    ],
)
def test_dcgan_channels(side: int, width: int, expected: list[int]) -> None:
    assert maps(DCGAN(code_dim=2, shape=(1, side, side), width=width)) == expected


@pytest.mark.parametrize(("side", "expected"), [(16, [256, 128, 64]), (32, [512, 256, 128, 64])])
def test_tensorlayer_channels(side: int, expected: list[int]) -> None:
    decoder = TensorLayerDCGAN(code_dim=32, shape=(1, side, side))
    assert maps(decoder) == expected
    assert not [name for name, _ in decoder.named_parameters() if "linear.bias" in name]


def test_tensorlayer_parameter_count() -> None:
    layers = 32 * 2048 + 25 * (512 * 256 + 256 * 128 + 128 * 64 + 64)
    norms = 2 * (512 + 256 + 128 + 64)
    decoder = TensorLayerDCGAN(code_dim=32)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == layers + norms


def test_weights_start_as_dcgan_says() -> None:
    torch.manual_seed(0)
    for name, parameter in DCGAN(code_dim=32).named_parameters():
        if parameter.ndim > 1:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name
        else:
            assert parameter.eq(1.0 if name.endswith("weight") else 0.0).all(), name


@pytest.mark.parametrize(("side", "advice"), [(28, 32), (4, 8), (512, 256), (100, 128)])
def test_dcgan_sides(side: int, advice: int) -> None:
    message = (
        "The DCGAN decoder makes square images with a power-of-two side from 8 to 256, not "
        f"{side}x{side}; resize the data with --size {advice}."
    )
    with pytest.raises(UserError, match=re.escape(message)):
        DCGAN(code_dim=2, shape=(1, side, side))


def test_images_must_be_square_and_images() -> None:
    with pytest.raises(UserError, match="not 32x16; resize the data with --size 32"):
        DCGAN(code_dim=2, shape=(1, 32, 16))
    with pytest.raises(UserError, match="use the decoder 'mlp' for vectors"):
        TensorLayerDCGAN(code_dim=2, shape=(5,))
    with pytest.raises(UserError, match=r"from 16 to 256, not 8x8; .* --size 16"):
        TensorLayerDCGAN(code_dim=2, shape=(1, 8, 8))


def test_first_map_is_dcgans_transposed_convolution() -> None:
    layer = CodeToMap(5, 6, 4)
    codes = torch.randn(3, 5)
    kernel = layer.weight.view(4, 4, 6, 5).permute(3, 2, 0, 1)
    expected = nn.functional.conv_transpose2d(codes[:, :, None, None], kernel)
    torch.testing.assert_close(layer(codes), expected)
    assert layer(codes).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_upsample_doubles(kernel: int, side: int) -> None:
    assert Upsample(2, 3, kernel=kernel)(torch.zeros(1, 2, side, side)).shape == (
        1,
        3,
        2 * side,
        2 * side,
    )
