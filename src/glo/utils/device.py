"""Where and in what arithmetic the decoder runs."""

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeVar

import torch
from torch import nn

from glo.errors import UserError

Network = TypeVar("Network", bound=nn.Module)

__all__ = [
    "Precision",
    "autocast",
    "channels_last",
    "find_device",
    "gains_from_bf16",
]

Precision = Literal["auto", "float32", "bf16"]


def find_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` takes an accelerator where there is one.

    Raises:
        UserError: torch does not know the name, or the machine lacks the device.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device '{name}' cannot be used: {reason}; try auto or cpu.") from None
    return device


def gains_from_bf16(device: torch.device) -> bool:
    """Tell whether bfloat16 arithmetic is fast on the device, not merely possible.

    Example:
        >>> isinstance(gains_from_bf16(torch.device("cpu")), bool)
        True
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if platform.machine() in ("x86_64", "AMD64"):
        # The library also takes bfloat16 where the processor only imitates it, slower than float32.
        return any(_has(name) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _has(feature: str) -> bool:
    return bool(getattr(torch.cpu, feature, bool)())


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Return the context in which the decoder runs: bfloat16 products, or plain float32.

    Codes, weights and losses stay in float32 either way.

    Example:
        >>> with autocast(torch.device("cpu"), "bf16"):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    bf16 = gains_from_bf16(device) if precision == "auto" else precision == "bf16"
    return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()


def channels_last(network: Network) -> Network:
    """Lay a network's image weights out with channels last in memory, where convolutions are fast.

    Example:
        >>> layer = channels_last(nn.Conv2d(2, 3, 3))
        >>> layer.weight.is_contiguous(memory_format=torch.channels_last)
        True
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
