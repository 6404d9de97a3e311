"""Tensors on disk: safetensors files, written piece by piece, flushed, and hashed on the way.

The library reads them. It writes from memory in one go and hides the system's errors in its own;
codes larger than memory and a full disk need better.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["write_tensors"]

_NAMES: dict[torch.dtype, str] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_PIECE = 2**25


class Relaxing(Protocol):
    """What holds memory that can be given back while a file is written."""

    def relax(self) -> None:
        """Give it back."""


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], held: Relaxing | None = None
) -> str:
    """Write a safetensors file, wait until it is on the disk, and return its sha256.

    Args:
        path: of the file; one that exists is overwritten.
        tensors: by name.
        metadata: text by name.
        held: what gives memory back between pieces of 32 MiB, or None.

    Raises:
        OSError: it could not be written, with the system's number: no space, no rights.

    Example:
        >>> write_tensors(Path("no/such/folder/x.safetensors"), {"x": torch.zeros(1)}, {})
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'no/such/folder/x.safetensors'
    """
    # Largest items first: every array then begins where its items may.
    ordered = sorted(tensors.items(), key=lambda pair: (-pair[1].element_size(), pair[0]))
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in _pieces(ordered, metadata):
            digest.update(piece)
            file.write(piece)
            if held is not None:
                held.relax()
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _header(ordered: list[tuple[str, Tensor]], metadata: dict[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        entries[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _pieces(ordered: list[tuple[str, Tensor]], metadata: dict[str, str]) -> Iterator[memoryview]:
    yield memoryview(_header(ordered, metadata))
    for _, tensor in ordered:
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        step = max(1, _PIECE // tensor.element_size())
        for first in range(0, len(flat), step):
            yield memoryview(flat[first : first + step].view(torch.uint8).numpy().data)
