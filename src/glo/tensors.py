"""Tensors on disk: safetensors files that are flushed, and whose failures keep their reason."""

import os
import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["write_tensors"]


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file and wait until it is on the disk.

    Raises:
        OSError: it could not be written, with the system's number: no space, no rights.

    Example:
        >>> import torch
        >>> write_tensors(Path("no/such/folder/x.safetensors"), {"x": torch.zeros(1)}, {})
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'no/such/folder/x.safetensors'
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        # Without tensors, empty metadata would make a file that the library cannot read.
        save_file(plain, path, metadata or None)
    except SafetensorError as error:
        # The library wraps the system's errors in its own and keeps the number only in the text.
        found = re.search(r"(?:os error|code:) (\d+)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())
