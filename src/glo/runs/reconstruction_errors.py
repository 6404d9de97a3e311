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
    """Write the errors of all rows atomically, and return the path of the file.

    Args:
        folder: path of the run folder.
        errors: float32 (N,), squared error of example i under code i.

    Raises:
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    path = folder / _FILE
    with atomic_write(path) as temporary:
        write_tensors(temporary, {"errors": errors.float()}, {})
    return path


def read_errors(folder: Path, n: int) -> Tensor | None:
    """Read the errors of all rows.

    Args:
        folder: path of the run folder.
        n: N, rows of the run.

    Returns:
        float32 (N,), or None where the file is missing, damaged, or of another number of rows.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = write_errors(folder, torch.tensor([0.5, 0.25]))
        >>> read_errors(folder, 2), read_errors(folder, 3)
        (tensor([0.5000, 0.2500]), None)
    """
    path = folder / _FILE
    try:
        tensors = read_tensors(path, {"errors": torch.empty(n, device="meta")})
        check_finite(path, tensors)
    except UserError:
        return None
    return tensors["errors"]
