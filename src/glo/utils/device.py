"""Device, precision, memory format and compilation of the decoder."""

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from glo.errors import UserError

Network = TypeVar("Network", bound=nn.Module)

__all__ = [
    "Precision",
    "autocast",
    "channels_last",
    "check_compiler",
    "compile_network",
    "find_device",
    "has_room",
    "to_device",
]

Precision = Literal["auto", "float32", "bf16"]


def find_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is an accelerator if there is one, else the CPU."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device '{name}' cannot be used: {reason}; try auto or cpu.") from None
    return device


def has_room(device: torch.device, size: float) -> bool:
    """Return whether a GPU has twice as many free bytes as `size`; the CPU always has room.

    Other accelerators count as full: they lack float64, which optimizers of codes compute with.
    """
    if device.type == "cuda":
        return 2 * size <= torch.cuda.mem_get_info(device)[0]
    return device.type == "cpu"


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device without waiting for it; on its own device it is not copied."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type == "cuda")


def gains_from_bf16(device: torch.device) -> bool:
    """Return whether bfloat16 is faster than float32 on the device, not merely possible."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if platform.machine() in ("x86_64", "AMD64"):
        # oneDNN also emulates bfloat16, slower than float32.
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, bool)() for name in names)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Return the context of the decoder's arithmetic: bfloat16 products, or float32.

    Codes, weights and losses are float32 in both.
    """
    bf16 = gains_from_bf16(device) if precision == "auto" else precision == "bf16"
    return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()


def channels_last(network: Network) -> Network:
    """Convert a network's image weights to channels-last memory format, fast for convolutions."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def compile_network(network: nn.Module) -> nn.Module:
    """Return a compiled network that shares the weights of another, which is unchanged.

    Its operations have another order, so the last bits differ. Each length of batch is compiled
    separately, so that results do not depend on earlier batches and a resumed run is exact.
    """
    # torch declares no type.
    result: Any = torch.compile(network, dynamic=False)
    assert isinstance(result, nn.Module), "a compiled module is a module"
    return result


def check_compiler(device: torch.device) -> None:
    """Check that torch can compile for a device, by compiling a small network."""
    try:
        torch.compile(nn.Tanh(), dynamic=False)(torch.zeros(1, device=device))
    # Any class: torch starts other programs, such as a C++ compiler.
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = ": ".join([type(error).__name__, *lines[:1]])[:200]
        raise UserError(
            f"compile is set, but torch cannot compile for {device.type} on this machine "
            f"({reason}); install a C++ compiler and Python's headers (Debian: g++ "
            f"python3-dev), or leave compile out."
        ) from None
