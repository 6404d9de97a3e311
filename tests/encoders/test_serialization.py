"""Encoders on disk."""

import json
from pathlib import Path

import pytest
import torch

from glo.encoders import Encoder, read_encoder, write_encoder
from glo.errors import UserError
from glo.utils.safetensors_io import write_tensors


@pytest.mark.parametrize("shape", [(3, 16, 16), (5,)])
def test_an_encoder_is_read_as_it_was_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    encoder = Encoder(code_dim=3, shape=shape, width=2, constraint="sphere").eval()
    encoder.set_whitening(torch.randn(9, 3))
    write_encoder(tmp_path / "e", encoder)
    read = read_encoder(tmp_path / "e")
    assert read.config == encoder.config
    assert not read.training
    assert not any(weight.requires_grad for weight in read.parameters())
    x = torch.randn(4, *shape)
    assert torch.equal(read(x), encoder(x))


@pytest.mark.parametrize(
    "config",
    [
        {"code_dim": 3, "shape": [5], "width": 2**40},
        {"code_dim": 3, "shape": [6]},
        {"code_dim": 3, "shape": [1, 2**62, 2**62]},
        {"code_dim": 3, "shape": [5], "depth": 3},
        {"shape": [5]},
        {"code_dim": 3, "shape": [5], "constraint": "cube"},
    ],
)
def test_other_descriptions_are_refused(tmp_path: Path, config: dict[str, object]) -> None:
    weights = Encoder(code_dim=3, shape=(5,), width=2).state_dict()
    write_tensors(tmp_path / "e", weights, {"config": json.dumps(config)})
    with pytest.raises(UserError, match="e "):
        read_encoder(tmp_path / "e")


def test_nan_is_refused(tmp_path: Path) -> None:
    encoder = Encoder(code_dim=3, shape=(5,), width=2)
    encoder.mean.fill_(torch.nan)
    write_encoder(tmp_path / "e", encoder)
    with pytest.raises(UserError):
        read_encoder(tmp_path / "e")
