"""The matrix-product way of doubling a map is the transposed convolution, forwards and back."""

import pytest
import torch
from torch.nn import functional

from glo.decoders.gemm_upsample import Upsample, _Product, gemm_conv_transpose2d

SIZES = [(1, 1, 1, 1, 1), (2, 3, 4, 4, 5), (3, 5, 2, 2, 1), (1, 4, 1, 4, 3), (2, 2, 5, 3, 4)]


def convolution(maps: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    kernel = weight.shape[2]
    return functional.conv_transpose2d(
        maps, weight, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2
    )


def inputs(size: tuple[int, ...], kernel: int) -> tuple[torch.Tensor, torch.Tensor]:
    batch, channels, height, width, out = size
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(batch, channels, height, width, generator=generator)
    weight = torch.randn(channels, out, kernel, kernel, generator=generator)
    return maps.requires_grad_(), weight.requires_grad_()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("size", SIZES)
def test_forward_and_both_gradients(
    size: tuple[int, ...], kernel: int, layout: torch.memory_format
) -> None:
    maps, weight = inputs(size, kernel)
    ours = _Product.apply(maps.contiguous(memory_format=layout), weight, (kernel - 1) // 2)
    theirs = convolution(maps, weight)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(1)
    cotangent = torch.randn(theirs.shape, generator=generator)
    for mine, other in zip(
        torch.autograd.grad(ours, (maps, weight), cotangent),
        torch.autograd.grad(theirs, (maps, weight), cotangent),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel", [4, 5])
def test_gradients_are_derivatives(kernel: int) -> None:
    maps, weight = inputs((2, 2, 2, 3, 2), kernel)
    pair = (maps.detach().double().requires_grad_(), weight.detach().double().requires_grad_())
    assert torch.autograd.gradcheck(lambda m, w: _Product.apply(m, w, (kernel - 1) // 2), pair)


@pytest.mark.parametrize("kernel", [4, 5])
def test_the_layer_takes_it_under_bf16_and_agrees(
    kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.decoders.gemm_upsample._has_tiles", lambda: True)
    torch.manual_seed(0)
    layer = Upsample(16, 8, kernel=kernel)
    weight = layer.weight
    maps = torch.randn(4, 16, 4, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        direct = gemm_conv_transpose2d(maps, weight, padding=(kernel - 1) // 2)
        ours = layer(maps)
    assert direct is not None
    assert torch.equal(direct, ours)
    assert ours.dtype == torch.bfloat16
    theirs = convolution(maps, weight)
    close(ours, theirs)
    cotangent = torch.randn(theirs.shape)
    mine = torch.autograd.grad(ours, (maps, layer.weight), cotangent.bfloat16())
    other = torch.autograd.grad(theirs, (maps, layer.weight), cotangent)
    for one, two in zip(mine, other, strict=True):
        assert one.dtype == torch.float32
        close(one, two)


def close(half: torch.Tensor, full: torch.Tensor) -> None:
    # bfloat16 keeps 8 bits, so rounding of inputs and sums stays below 2 % of the typical value.
    error = (half.float() - full).square().mean().sqrt() / full.square().mean().sqrt()
    assert error < 0.02


@pytest.mark.parametrize("side", [1, 2, 4])
def test_it_is_taken_for_small_maps(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glo.decoders.gemm_upsample._has_tiles", lambda: True)
    with torch.autocast("cpu", torch.bfloat16):
        result = gemm_conv_transpose2d(
            torch.ones(1, 2, side, side), torch.ones(2, 3, 4, 4), padding=1
        )
    assert result is not None
    assert result.shape == (1, 3, 2 * side, 2 * side)


@pytest.mark.parametrize(
    ("tiles", "half", "side"), [(False, True, 4), (True, False, 4), (True, True, 8)]
)
def test_it_is_left_where_it_is_not_faster(
    tiles: bool, half: bool, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.decoders.gemm_upsample._has_tiles", lambda: tiles)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        maps, weight = torch.ones(1, 2, side, side), torch.ones(2, 3, 4, 4)
        assert gemm_conv_transpose2d(maps, weight, padding=1) is None
