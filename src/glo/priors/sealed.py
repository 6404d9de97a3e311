"""Tensors with a description and a checksum, in one safetensors file."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from glo.files import replacing
from glo.tensors import write_tensors

__all__ = ["read_sealed", "write_sealed"]


def write_sealed(path: Path, about: dict[str, Any], state: dict[str, Tensor]) -> Path:
    """Write `state` and what it is `about` to `path`, whole or not at all, and return the path."""
    with replacing(path) as writing:
        write_tensors(writing, state, {"prior": json.dumps(about), "seal": _seal(about, state)})
    return path


def read_sealed(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what a file says about itself, and its tensors.

    Raises:
        ValueError: it was edited.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        about: dict[str, Any] = json.loads(metadata["prior"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if metadata["seal"] != _seal(about, state):
        raise ValueError("it differs from its checksum")
    return about, state


def _seal(about: dict[str, Any], state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
