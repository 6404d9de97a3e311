"""Reconstruction errors of the training examples, stored in the run for sorting without data.

The calibration examples are others: their residuals and codes were found by search, under a decoder
that was not trained on them, so they are those of ordinary unseen examples.
"""

from pathlib import Path

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import check_finite, read_tensors, write_tensors

__all__ = [
    "CALIBRATION_FILE",
    "read_calibration",
    "read_errors",
    "write_calibration",
    "write_errors",
]

_FILE = "errors.safetensors"
CALIBRATION_FILE = "calibration.safetensors"


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


def write_calibration(folder: Path, residuals: Tensor, codes: Tensor) -> Path:
    """Write residuals (n,) and codes (n, D) of calibration examples atomically; return the path."""
    path = folder / CALIBRATION_FILE
    with atomic_write(path) as temporary:
        write_tensors(temporary, {"residuals": residuals.float(), "codes": codes.float()}, {})
    return path


def read_calibration(folder: Path, code_dim: int) -> tuple[Tensor, Tensor] | None:
    """Read residuals (n,) and codes (n, D), float32; None where the file is missing or damaged."""
    path = folder / CALIBRATION_FILE
    try:
        tensors = read_tensors(path)
        check_finite(path, tensors)
        residuals, codes = tensors["residuals"], tensors["codes"]
    except (UserError, KeyError):
        return None
    is_whole = len(residuals) > 1 and codes.shape == (len(residuals), code_dim)
    return (residuals, codes) if is_whole and residuals.ndim == 1 else None
