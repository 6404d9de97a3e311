"""Encoders: shapes, masks, constraint."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glo.encoders import Encoder
from glo.errors import UserError

SHAPES = [(1, 8, 8), (3, 32, 32), (2, 20, 36), (4, 9, 17), (1, 64, 16), (7,), (1,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("constraint", ["ball", "sphere", "free"])
def test_codes_of_every_shape_satisfy_the_constraint(
    shape: tuple[int, ...], constraint: str
) -> None:
    torch.manual_seed(0)
    encoder = Encoder(code_dim=3, shape=shape, width=2, constraint=constraint)  # type: ignore[arg-type]
    encoder.set_whitening(5 * torch.randn(50, 3)).eval()
    codes = encoder(torch.randn(4, *shape))
    assert codes.shape == (4, 3)
    length = codes.norm(dim=1)
    if constraint == "ball":
        assert length.max() <= 1 + 1e-6
    if constraint == "sphere":
        torch.testing.assert_close(length, torch.ones(4))


@pytest.mark.parametrize("shape", [(3, 16, 16), (5,)])
def test_hidden_values_do_not_count(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    encoder = Encoder(code_dim=4, shape=shape, width=2).eval()
    x = torch.randn(6, *shape)
    mask = (torch.rand(6, *((1, 16, 16) if len(shape) == 3 else shape)) > 0.5).float()
    other = torch.where(mask.expand_as(x) > 0, x, torch.full_like(x, torch.nan))
    assert torch.equal(encoder(x, mask), encoder(other, mask))
    assert not torch.equal(encoder(x, mask), encoder(x))
    assert torch.equal(encoder(x, torch.ones_like(mask[:1])), encoder(x))


def test_a_pixel_with_a_hidden_channel_is_hidden() -> None:
    encoder = Encoder(code_dim=2, shape=(3, 8, 8), width=2).eval()
    x, mask = torch.randn(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    mask[:, 1, :4] = 0.0
    assert torch.equal(encoder(x, mask), encoder(x, mask.amin(1, keepdim=True)))


def test_whitening_gives_codes_their_moments() -> None:
    torch.manual_seed(0)
    codes = torch.randn(500, 3) @ torch.randn(3, 3) + 1.0
    encoder = Encoder(code_dim=3, shape=(4,), constraint="free").set_whitening(codes)
    expected = torch.cov(codes.T, correction=0)
    torch.testing.assert_close(encoder.factor @ encoder.factor.T, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(encoder.mean, codes.mean(0))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5))
def test_images_of_any_size_are_encoded(height: int, width: int, channels: int) -> None:
    encoder = Encoder(code_dim=2, shape=(channels, height, width), width=1).eval()
    assert encoder(torch.zeros(2, channels, height, width)).shape == (2, 2)


@pytest.mark.parametrize(
    "wrong", [{"code_dim": 0}, {"shape": (3, 4)}, {"width": -1}, {"constraint": "cube"}]
)
def test_wrong_arguments_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong)).replace("shape", "examples")):
        Encoder(**{"code_dim": 2, "shape": (3,), **wrong})  # type: ignore[arg-type]
