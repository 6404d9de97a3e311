"""The error of every training example, kept in its run: who has them can sort without the data."""

from pathlib import Path

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import check_finite, read_tensors, write_tensors

__all__ = ["read_errors", "write_errors"]

_FILE = "errors.safetensors"


def write_errors(folder: Path, errors: Tensor) -> Path:
    """Write the errors of all rows into a run folder, whole or not at all, and return the path.

    Args:
        folder: of the run.
        errors: float32 (N,), squared error of example i under code i.

    Raises:
        OSError: they could not be written; the file before is as it was.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_errors(folder, torch.tensor([0.5, 0.25])).name
        'errors.safetensors'
        >>> read_errors(folder, 2)
        tensor([0.5000, 0.2500])
    """
    path = folder / _FILE
    with atomic_write(path) as writing:
        write_tensors(writing, {"errors": errors.float()}, {})
    return path


def read_errors(folder: Path, n: int) -> Tensor | None:
    """Return the errors that a run keeps, or None where they do not fit it.

    Errors of another number of rows, of a damaged file or of an older run count as absent: they can
    be measured again, and wrong ones would name the wrong examples.

    Args:
        folder: of the run.
        n: N, examples of the run.

    Returns:
        float32 (N,), or None.

    Example:
        >>> read_errors(Path("no/such/run"), 3) is None
        True
    """
    wanted = {"errors": torch.empty(n, dtype=torch.float32, device="meta")}
    try:
        found = read_tensors(folder / _FILE, wanted)
        check_finite(folder / _FILE, found)
    except UserError:
        return None
    return found["errors"]
