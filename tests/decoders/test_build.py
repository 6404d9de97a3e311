"""Configurations that cannot be built say why."""

import pytest
import torch

from glo.decoders import DCGAN, MLP, build_decoder
from glo.errors import UserError


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "The decoder's name is 'missing'; choose 'dcgan', 'tensorlayer', 'mlp', 'residual'."),
        ({"name": "dcgam", "code_dim": 4}, "Did you mean 'dcgan'?"),
        ({"name": "dcgan", "code_dim": 4, "widht": 8}, "has no setting 'widht'.*'width'"),
        ({"name": "dcgan"}, "needs the setting 'code_dim'"),
        ({"name": "mlp", "code_dim": 4}, "needs the setting 'shape'"),
        ({"name": "dcgan", "code_dim": 0}, "code_dim takes whole numbers from 1 up, not 0"),
        ({"name": "dcgan", "code_dim": True}, "code_dim takes whole numbers from 1 up, not True"),
        ({"name": "dcgan", "code_dim": 4, "width": 1.5}, "width takes whole numbers .* not 1.5"),
        ({"name": "mlp", "code_dim": 4, "shape": [3], "hidden": [0]}, "hidden takes whole"),
        ({"name": "mlp", "code_dim": 4, "shape": [1, 8, 8]}, "use the decoder 'dcgan' for images"),
        ({"name": "residual", "code_dim": 4, "norm": "layer"}, "norm must be 'group' or 'batch'"),
        ({"name": "residual", "code_dim": 4, "shape": [3, 48, 48]}, "power-of-two side from 8 to"),
    ],
)
def test_mistakes_are_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_decoder(config)


def test_building_leaves_the_config_as_it_was() -> None:
    config = {"name": "mlp", "code_dim": 4, "shape": [3]}
    build_decoder(config)
    assert config == {"name": "mlp", "code_dim": 4, "shape": [3]}


def test_codes_of_another_size_are_refused() -> None:
    decoder = MLP(code_dim=4, shape=(3,))
    with pytest.raises(UserError, match=r"shape \(2, 5\), but this decoder takes \(B, 4\)"):
        decoder(torch.zeros(2, 5))
    with pytest.raises(UserError, match=r"shape \(4,\)"):
        decoder(torch.zeros(4))


def test_numpy_integers_become_json_able() -> None:
    import numpy as np

    decoder = DCGAN(code_dim=np.int64(4), shape=np.array([1, 8, 8]), width=np.int32(2))  # type: ignore[arg-type]
    assert decoder.config == {"name": "dcgan", "code_dim": 4, "shape": [1, 8, 8], "width": 2}
    assert all(type(side) is int for side in decoder.shape)
