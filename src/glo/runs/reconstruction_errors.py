"""Reconstruction errors of the training examples, stored in the run for sorting without data."""

from pathlib import Path

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import check_finite, read_tensors, write_tensors

__all__ = ["read_errors", "write_errors"]

_FILE = "errors.safetensors"


def write_errors(folder: Path, errors: Tensor) -> Path:
    """Write the errors of all rows, float32 (N,), atomically, and return the path of the file."""
    path = folder / _FILE
    with atomic_write(path) as temporary:
        write_tensors(temporary, {"errors": errors.float()}, {})
    return path


def read_errors(folder: Path, n: int) -> Tensor | None:
    """Read float32 (N,); None where the file is missing, damaged, or has another length."""
    path = folder / _FILE
    try:
        tensors = read_tensors(path, {"errors": torch.empty(n, dtype=torch.float32, device="meta")})
        check_finite(path, tensors)
    except UserError:
        return None
    return tensors["errors"]
