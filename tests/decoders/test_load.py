"""A decoder from a file: what its configuration asks for must be what the file holds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from glo.decoders import DCGAN, MLP, read_decoder
from glo.errors import UserError


def written(path: Path, config: Any, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    kept = MLP(code_dim=2, shape=(3,), hidden=(4,)).state_dict()
    save_file(kept if tensors is None else tensors, path, {"config": json.dumps(config)})
    return path


MINE = {"name": "mlp", "code_dim": 2, "shape": [3], "hidden": [4]}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"hidden": [10**9]}, "where float32 .* belongs"),
        ({"code_dim": 10**12}, "where float32 .* belongs"),
        ({"hidden": [2**62, 2**62]}, "cannot be made|can be made"),
        ({"hidden": [1] * 101}, "101 layers"),
        ({"hidden": [4, 4]}, "lacks 'net"),
        ({"hidden": []}, "is not known|where float32"),
        ({"hidden": 7}, "can be made"),
        ({"shape": "abc"}, "does not describe a decoder"),
        ({"name": "dcgan", "shape": [3, 8, 8], "width": 10**9}, "does not describe a decoder"),
        ({"standardised": True}, "lacks"),
        ({"more": 1}, "has no setting 'more'"),
    ],
)
def test_what_the_file_does_not_hold_is_refused(
    tmp_path: Path, change: dict[str, Any], part: str
) -> None:
    path = written(tmp_path / "x", MINE | change)
    with pytest.raises(UserError, match=part) as caught:
        read_decoder(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("config", [None, 7, [], "mlp"])
def test_a_config_that_is_none(tmp_path: Path, config: Any) -> None:
    with pytest.raises(UserError, match="does not say what it is"):
        read_decoder(written(tmp_path / "x", config))


def test_nan_is_refused(tmp_path: Path) -> None:
    tensors = MLP(code_dim=2, shape=(3,), hidden=(4,)).state_dict()
    tensors["net.0.weight"][1, 1] = float("nan")
    with pytest.raises(UserError, match=r"NaN or infinity in 'net\.0\.weight'"):
        read_decoder(written(tmp_path / "x", MINE, tensors))


def test_the_weights_come_back_and_the_outline_draws_nothing(tmp_path: Path) -> None:
    made = DCGAN(code_dim=3, shape=(1, 16, 16), width=4)
    path = written(tmp_path / "x", made.config, made.state_dict())
    torch.manual_seed(7)
    again = read_decoder(path)
    after = torch.rand(1)
    for name, value in made.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    torch.manual_seed(7)
    DCGAN(code_dim=3, shape=(1, 16, 16), width=4)
    assert torch.equal(torch.rand(1), after)


def test_the_outline_loads_no_compiler(tmp_path: Path) -> None:
    path = written(tmp_path / "x", MINE)
    words = (
        "import sys; from pathlib import Path; from glo.decoders import read_decoder; "
        f"read_decoder(Path({str(path)!r})); sys.exit('sympy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", words], check=True)
