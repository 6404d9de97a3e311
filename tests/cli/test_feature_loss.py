"""A run by a loss in features: trained, gone on with, searched, and its network missed."""

import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.builders import images, save_data, train
from torch import nn

from glo.cli.app import run


def network(path: Path) -> str:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(layers, torch.rand(1, 3, 8, 8)), path)
    return str(path)


def test_from_training_to_a_network_that_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = network(tmp_path / "net.ts")
    data, out = save_data(tmp_path), tmp_path / "run"
    words = ["--loss", "lap1+0.1*features", "--features", features, "--decoder", "residual"]
    assert train(data, out, *words) == 0
    kept = tomllib.loads((out / "config.toml").read_text("utf-8"))
    assert (kept["loss"], kept["features"]) == ("lap1+0.1*features", features)
    # The same command goes on, and another network would be another run.
    assert train(data, out, *words) == 0
    other = network(tmp_path / "other.ts")
    assert train(data, out, *words[:2], "--features", other, *words[4:]) == 2

    unseen = save_data(tmp_path / "unseen", images(3, seed=1))
    encode = ["encode", str(out), unseen, "--out", str(tmp_path / "codes.npz")]
    assert run(encode) == 0
    assert np.load(tmp_path / "codes.npz")["codes"].shape == (3, 4)
    (tmp_path / "net.ts").unlink()
    capsys.readouterr()
    assert run(encode) == 2
    said = capsys.readouterr().err
    assert "There are no features" in said
    assert "Traceback" not in said
