"""What every loss must hold."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from glo.errors import UserError
from glo.losses import (
    FeatureLoss,
    L1Loss,
    Lap1Loss,
    Loss,
    MSELoss,
    WeightedSum,
    l1,
    lap1,
    mse,
    parse_loss,
)


class TwoLayers(nn.Module):
    """Features of two sizes, with batch norm and dropout that must not mix or drop anything."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.second = nn.Sequential(nn.Tanh(), nn.Dropout(), nn.AdaptiveAvgPool2d(2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        early = self.first(images)
        return early, self.second(early)


def feature_loss(channels: int) -> Loss:
    torch.manual_seed(0)
    return FeatureLoss(network=TwoLayers(channels))


LOSSES: dict[str, Callable[[int], Loss]] = {
    "mse": lambda _: MSELoss(),
    "l1": lambda _: L1Loss(),
    "lap1": lambda _: Lap1Loss(),
    "lap1-fine": lambda _: Lap1Loss(levels=2, weighting="fine"),
    "lap1-residual": lambda _: Lap1Loss(levels=0),
    "sum": lambda _: WeightedSum(terms=((0.5, MSELoss()), (2.0, Lap1Loss()))),
    "features": feature_loss,
}
EXACT = [name for name in LOSSES if name not in ("lap1-fine", "features")]
SHAPE = (3, 12, 9)


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> Loss:
    return LOSSES[request.param](SHAPE[0])


def pair(batch: int = 4, shape: tuple[int, ...] = SHAPE) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    both = torch.rand(2, batch, *shape, generator=generator) * 2 - 1
    return both[0], both[1]


def random_mask(batch: int = 4, shape: tuple[int, ...] = SHAPE) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return (torch.rand(batch, 1, *shape[1:], generator=generator) < 0.6).float()


@pytest.mark.parametrize("masked", [False, True])
def test_one_positive_float32_per_row(loss: Loss, masked: bool) -> None:
    x, y = pair()
    value = loss(x, y, random_mask() if masked else None)
    assert value.shape == (4,)
    assert value.dtype == torch.float32
    assert (value > 0).all()


@pytest.mark.parametrize("masked", [False, True])
def test_zero_at_equality(loss: Loss, masked: bool) -> None:
    x, _ = pair()
    assert torch.equal(loss(x, x.clone(), random_mask() if masked else None), torch.zeros(4))


@pytest.mark.parametrize("masked", [False, True])
def test_each_row_alone(loss: Loss, masked: bool) -> None:
    x, y = pair()
    mask = random_mask() if masked else None
    rows = [
        loss(x[i : i + 1], y[i : i + 1], None if mask is None else mask[i : i + 1])
        for i in range(4)
    ]
    torch.testing.assert_close(loss(x, y, mask), torch.cat(rows))


def test_gradient_reaches_every_pixel_of_its_own_row(loss: Loss) -> None:
    x, y = pair()
    x.requires_grad_()
    loss(x, y)[2].backward()
    assert x.grad is not None
    assert x.grad[2].ne(0).all()
    assert not x.grad[[0, 1, 3]].any()


@pytest.mark.parametrize("rubbish", [0.0, math.inf, math.nan])
def test_hidden_pixels_have_no_influence_and_no_gradient(loss: Loss, rubbish: float) -> None:
    x, y = pair()
    mask = random_mask()
    clean = loss(x, y, mask)
    hidden = (mask == 0).expand_as(x)
    x = x.masked_fill(hidden, 7.0).requires_grad_()
    value = loss(x, y.masked_fill(hidden, rubbish), mask)
    torch.testing.assert_close(value, clean)
    value.sum().backward()
    assert x.grad is not None
    assert not x.grad[hidden].any()
    assert x.grad.isfinite().all()
    assert x.grad[~hidden].any()


def test_a_row_with_nothing_observed_gives_zero(loss: Loss) -> None:
    x, y = pair()
    mask = random_mask()
    mask[1] = 0
    x.requires_grad_()
    value = loss(x, y, mask)
    value.sum().backward()
    assert value[1] == 0
    assert (value[[0, 2, 3]] > 0).all()
    assert x.grad is not None
    assert not x.grad[1].any()


def test_a_full_mask_changes_nothing(loss: Loss) -> None:
    x, y = pair()
    ones = torch.ones(4, 1, *SHAPE[1:])
    torch.testing.assert_close(loss(x, y, ones), loss(x, y))
    torch.testing.assert_close(loss(x, y, ones[:, :, :1, :1].bool()), loss(x, y))
    torch.testing.assert_close(loss(x, y, ones.expand_as(x)), loss(x, y))


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("masked", [False, True])
def test_constant_difference_gives_one_value_at_every_resolution(name: str, masked: bool) -> None:
    loss = LOSSES[name](1)
    values = []
    for shape in [(1, 8, 8), (1, 32, 32), (3, 17, 40), (3, 64, 64)]:
        x, _ = pair(1, shape)
        mask = random_mask(1, shape) if masked else None
        values.append(loss(x + 0.25, x, mask))
    torch.testing.assert_close(torch.cat(values), values[0].expand(4))


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "features"])
def test_half_precision_is_computed_in_float32(name: str) -> None:
    loss = LOSSES[name](3)
    x, y = pair()
    value = loss(x.bfloat16(), y)
    torch.testing.assert_close(value, loss(x.bfloat16().float(), y))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss(x.bfloat16(), y), value)


def test_channels_last_agrees(loss: Loss) -> None:
    x, y = pair()
    moved = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(loss(moved, y), loss(x, y))


@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(loss: Loss, masked: bool) -> None:
    x, y = pair(2, (3, 7, 6))
    if isinstance(loss, FeatureLoss):
        loss.network.double()
    mask = random_mask(2, (3, 7, 6)) if masked else None
    x = x.double().requires_grad_()
    assert loss(x, y.double(), mask).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda a: loss(a, y.double(), mask), (x,))


def test_unequal_shapes_are_refused(loss: Loss) -> None:
    x, y = pair()
    with pytest.raises(UserError, match=r"output.*\(4, 3, 12, 9\).*target.*\(4, 1, 12, 9\)"):
        loss(x, y[:, :1])
    with pytest.raises(UserError, match=r"mask has shape \(12, 9\)"):
        loss(x, y, random_mask()[0, 0])
    with pytest.raises(UserError, match=r"mask has shape \(4, 1, 12, 8\)"):
        loss(x, y, random_mask()[..., :8])


def test_use_without_gradients_does_not_spoil_later_training(loss: Loss) -> None:
    shape = (3, 11, 13)  # a size no other test has asked for
    x, y = pair(2, shape)
    with torch.inference_mode():
        loss(x.clone(), y.clone())
    loss(x.requires_grad_(), y).sum().backward()
    assert x.grad is not None


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(list(LOSSES)),
    batch=st.integers(1, 3),
    channels=st.sampled_from([1, 3]),
    height=st.integers(3, 19),
    width=st.integers(3, 19),
    seed=st.integers(0, 99),
)
def test_any_size_and_any_mask(
    name: str, batch: int, channels: int, height: int, width: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, batch, channels, height, width, generator=generator)
    mask = torch.rand(batch, 1, height, width, generator=generator) < seed / 99
    value = LOSSES[name](channels)(x, y, mask)
    assert value.shape == (batch,)
    assert value.isfinite().all()
    assert torch.equal(value > 0, mask.flatten(1).any(1))


@pytest.mark.parametrize(("function", "name"), [(mse, "mse"), (l1, "l1"), (lap1, "lap1")])
def test_functions_are_the_losses_of_their_names(function: Loss, name: str) -> None:
    x, y = pair()
    assert torch.equal(function(x, y), parse_loss(name)(x, y))
    assert torch.equal(function(x, y, random_mask()), parse_loss(name)(x, y, random_mask()))


@pytest.mark.parametrize("name", ["mse", "l1", "0.5*mse+l1"])
def test_vectors_with_a_mask(name: str) -> None:
    loss = parse_loss(name)
    x, y = pair(5, (4,))
    mask = torch.ones(5, 4)
    mask[0, 1:] = 0
    value = loss(x, y, mask)
    torch.testing.assert_close(value[:1], loss(x[:1, :1], y[:1, :1]))
    torch.testing.assert_close(value[1:], loss(x[1:], y[1:]))
    with pytest.raises(UserError, match=r"mask has shape \(5,\)"):
        loss(x, y, mask[:, 0])
