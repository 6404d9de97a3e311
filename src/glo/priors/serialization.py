"""Tensors with a description and a checksum, in one safetensors file."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import Header, check_finite, read_header, read_tensors, write_tensors

__all__ = ["read_tensors_with_checksum", "write_tensors_with_checksum"]

# Blocks of a network, and steps in which a sample is integrated.
_MOST_BLOCKS = 256


def write_tensors_with_checksum(
    path: Path, about: dict[str, Any], state: dict[str, Tensor]
) -> Path:
    """Write `state` and what it is `about` to `path`, whole or not at all, and return the path."""
    with atomic_write(path) as writing:
        write_tensors(writing, state, {"prior": json.dumps(about), "seal": _seal(about, state)})
    return path


def read_tensors_with_checksum(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what a file says about itself, and its tensors.

    The checksum tells what was damaged. It does not tell who wrote the file: anybody can make one
    that fits, so what is returned is checked further by who uses it.

    Raises:
        UserError: it cannot be read, was edited, asks for a network that it does not hold, or holds
            NaN or infinity.
    """
    header = read_header(path)
    about = header.described("prior")
    _check_size(header, about.get("config"))
    state = read_tensors(path)
    if any(tensor.dtype == torch.bfloat16 for tensor in state.values()):
        raise UserError(f"{path} holds bfloat16, which is not written here.")
    if header.about.get("seal") != _seal(about, state):
        raise UserError(f"{path} was edited: it differs from its checksum.")
    check_finite(path, state)
    return about, state


def _check_size(header: Header, config: object) -> None:
    """Check that a network asked for is no larger than the file, and no slower than is usual.

    A network of width W and L blocks on codes of D numbers has at least W (D + L W) weights here.
    """
    if config is None:
        return
    if not isinstance(config, dict):
        raise UserError(f"{header.path} does not say how it was made.")
    width, blocks = config.get("width", 0), config.get("blocks", config.get("layers", 0))
    numbers = (width, blocks, config.get("integration", 1))
    _, shape = header.tensors.get("standardise.mean", (None, ()))
    dim = math.prod(shape)
    if not all(type(number) is int and number >= 0 for number in numbers) or (
        max(numbers[1:]) > _MOST_BLOCKS or width * (dim + blocks * width) > header.count
    ):
        raise UserError(
            f"{header.path} asks for a network of {blocks} blocks of width {width}, and holds "
            f"{header.count:,} numbers."
        )


def _seal(about: dict[str, Any], state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
