"""Decoders from configurations and from files, neither of them trusted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from glo.decoders import DCGAN, MLP, build_decoder, read_decoder
from glo.errors import UserError


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "name is 'missing'; choose 'dcgan', 'tensorlayer', 'mlp', 'residual'"),
        ({"name": "dcgam", "code_dim": 4}, "Did you mean 'dcgan'?"),
        ({"name": "dcgan", "code_dim": 4, "widht": 8}, "'dcgan'.*'widht'"),
        ({"name": "dcgan"}, "'code_dim'"),
        ({"name": "mlp", "code_dim": 4}, "'shape'"),
        ({"name": "dcgan", "code_dim": 0}, "code_dim .* not 0"),
        ({"name": "dcgan", "code_dim": True}, "code_dim .* not True"),
        ({"name": "dcgan", "code_dim": 4, "width": 1.5}, "width .* not 1.5"),
        ({"name": "mlp", "code_dim": 4, "shape": [3], "hidden": [0]}, "hidden .* not 0"),
        ({"name": "mlp", "code_dim": 4, "shape": [1, 8, 8]}, r"not \(1, 8, 8\).*'dcgan'"),
        ({"name": "residual", "code_dim": 4, "norm": "layer"}, "norm .* not 'layer'"),
        ({"name": "residual", "code_dim": 4, "shape": [3, 48, 48]}, "not 48x48"),
    ],
)
def test_mistakes_in_a_configuration_are_named(config: dict[str, object], message: str) -> None:
    before = dict(config)
    with pytest.raises(UserError, match=message):
        build_decoder(config)
    assert config == before


def test_codes_of_another_size_are_refused() -> None:
    decoder = MLP(code_dim=4, shape=(3,))
    for shape in ((2, 5), (4,)):
        with pytest.raises(UserError, match=r"\(B, 4\)"):
            decoder(torch.zeros(shape))


def test_numpy_integers_become_json_able() -> None:
    decoder = DCGAN(code_dim=np.int64(4), shape=np.array([1, 8, 8]), width=np.int32(2))  # type: ignore[arg-type]
    assert decoder.config == {"name": "dcgan", "code_dim": 4, "shape": [1, 8, 8], "width": 2}
    assert all(type(side) is int for side in decoder.shape)


CONFIG = {"name": "mlp", "code_dim": 2, "shape": [3], "hidden": [4]}


def write(path: Path, config: Any, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    weights = build_decoder(CONFIG).state_dict() if tensors is None else tensors
    save_file(weights, path, {"config": json.dumps(config)})
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": [10**9]}, "where float32 .* belongs"),
        ({"code_dim": 10**12}, "where float32 .* belongs"),
        ({"hidden": [2**62, 2**62]}, "can be made"),
        ({"hidden": [1] * 101}, "101 layers"),
        ({"hidden": [4, 4]}, "'net"),
        ({"hidden": []}, "'net"),
        ({"hidden": 7}, "can be made"),
        ({"shape": "abc"}, "shape"),
        ({"name": "dcgan", "shape": [3, 8, 8], "width": 10**9}, "does not describe a decoder"),
        ({"standardized": True}, "'scale'"),
        ({"more": 1}, "'more'"),
        ({"name": "custom"}, "'custom'"),
    ],
)
def test_files_without_the_weights_of_their_configuration_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "x", CONFIG | change)
    with pytest.raises(UserError, match=message) as caught:
        read_decoder(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("config", [None, 7, [], "mlp"])
def test_a_configuration_that_is_no_object_is_refused(tmp_path: Path, config: Any) -> None:
    with pytest.raises(UserError, match="x"):
        read_decoder(write(tmp_path / "x", config))


def test_nan_is_refused(tmp_path: Path) -> None:
    tensors = build_decoder(CONFIG).state_dict()
    tensors["net.0.weight"][1, 1] = float("nan")
    with pytest.raises(UserError, match=r"'net\.0\.weight'"):
        read_decoder(write(tmp_path / "x", CONFIG, tensors))


def test_the_weights_come_back_and_the_outline_draws_nothing(tmp_path: Path) -> None:
    decoder = DCGAN(code_dim=3, shape=(1, 16, 16), width=4)
    weights = {name: value.contiguous() for name, value in decoder.state_dict().items()}
    path = write(tmp_path / "x", decoder.config, weights)
    torch.manual_seed(7)
    again = read_decoder(path)
    after = torch.rand(1)
    for name, value in decoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    torch.manual_seed(7)
    DCGAN(code_dim=3, shape=(1, 16, 16), width=4)
    assert torch.equal(torch.rand(1), after)


def test_the_outline_loads_no_compiler(tmp_path: Path) -> None:
    decoder = DCGAN(code_dim=3, shape=(1, 16, 16), width=4)
    weights = {name: value.contiguous() for name, value in decoder.state_dict().items()}
    path = write(tmp_path / "x", decoder.config, weights)
    code = (
        "import sys; from pathlib import Path; from glo.decoders import read_decoder; "
        f"read_decoder(Path({str(path)!r})); sys.exit('sympy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
