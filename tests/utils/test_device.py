"""Selection of device, precision and memory format."""

import pytest
import torch
from torch import nn

from glo.errors import UserError
from glo.utils.device import autocast, channels_last, find_device, gains_from_bf16

CPU = torch.device("cpu")


def test_find_device() -> None:
    assert find_device("cpu") == CPU
    assert find_device("auto").type in {"cpu", "cuda", "mps", "xpu"}


@pytest.mark.parametrize("name", ["warp", "cuda:99", "cpu:x", ""])
def test_find_device_raises_for_missing_devices(name: str) -> None:
    with pytest.raises(UserError, match=f"^device '{name}' cannot be used: .*; try auto or cpu.$"):
        find_device(name)


def product() -> torch.dtype:
    return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_autocast_float32() -> None:
    with autocast(CPU, "float32"):
        assert product() == torch.float32


def test_autocast_bf16_applies_to_products_only() -> None:
    with autocast(CPU, "bf16"):
        assert product() == torch.bfloat16
        assert torch.ones(2).exp().dtype == torch.float32


@pytest.mark.parametrize("fast", [True, False])
def test_autocast_auto_selects_bf16_where_it_is_fast(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.utils.device.gains_from_bf16", lambda device: fast)
    with autocast(CPU, "auto"):
        assert product() == (torch.bfloat16 if fast else torch.float32)


def test_gains_from_bf16_is_false_on_other_devices() -> None:
    assert gains_from_bf16(torch.device("mps")) is False


def test_channels_last_changes_the_layout_only() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert channels_last(network) is network
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
