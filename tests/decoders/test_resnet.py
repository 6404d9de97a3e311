"""The residual decoder: its maps, what its norm sees, and which weights are matrices."""

import pytest
import torch

from glo.decoders import ResNet
from glo.errors import UserError


@pytest.mark.parametrize(
    ("side", "width", "expected"),
    [
        (8, 64, [64, 32]),
        (64, 32, [256, 128, 64, 32, 16]),
        (128, 32, [256, 256, 128, 64, 32, 16]),
        (16, 5, [10, 5, 2]),
    ],
)
def test_channels_are_dcgans_and_half_of_the_width_at_last(
    side: int, width: int, expected: list[int]
) -> None:
    decoder = ResNet(code_dim=2, shape=(3, side, side), width=width)
    assert list(decoder.widths) == expected


def test_group_norm_decodes_each_row_alone_in_training_too() -> None:
    torch.manual_seed(0)
    decoder = ResNet(code_dim=4, shape=(3, 16, 16), width=8).train()
    codes = torch.randn(6, 4)
    alone = torch.cat([decoder(code[None]) for code in codes])
    torch.testing.assert_close(decoder(codes), alone)
    torch.testing.assert_close(decoder.eval()(codes), alone)
    assert not list(decoder.buffers())


def test_the_length_of_a_code_is_seen() -> None:
    torch.manual_seed(0)
    decoder = ResNet(code_dim=4, shape=(3, 16, 16), width=8)
    code = torch.randn(1, 4)
    assert not torch.allclose(decoder(code), decoder(3 * code), atol=1e-4)


def test_a_side_that_is_no_power_of_two() -> None:
    with pytest.raises(UserError, match="power-of-two side from 8 to 1024, not 100x100"):
        ResNet(code_dim=2, shape=(3, 100, 100))
