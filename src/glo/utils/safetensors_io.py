"""Size-limited reading of safetensors files, and writing them piece by piece."""

import hashlib
import json
import math
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from glo.errors import UserError
from glo.utils.files import open_plain
from glo.utils.json_toml import parse_json

__all__ = ["Header", "check_finite", "map_tensor", "read_header", "read_tensors", "write_tensors"]

MAX_HEADER = 4 * 2**20
"""Bytes of names, shapes and metadata; the longest headers hold the names of labels."""

MAX_DIMENSIONS = 8
_DTYPE_NAMES = {
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
_DTYPES = {name: dtype for dtype, name in _DTYPE_NAMES.items()}
_PIECE_BYTES = 2**25


@final
@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of a safetensors file: metadata texts, and dtype and shape of each tensor, by name."""

    path: Path
    about: dict[str, str]
    tensors: dict[str, tuple[torch.dtype, tuple[int, ...]]]

    @property
    def count(self) -> int:
        """Number of elements of all tensors together."""
        return sum(math.prod(shape) for _, shape in self.tensors.values())

    def described(self, name: str) -> dict[str, Any]:
        """Return one of the metadata texts, a JSON object."""
        values = parse_json(self.about.get(name, "null"), f"The metadata of {self.path}")
        if not isinstance(values, dict):
            raise UserError(f"{self.path} has no metadata '{name}'; another program wrote it.")
        return values

    def check(self, expected: Mapping[str, Tensor]) -> None:
        """Check that the file has exactly these names, shapes and dtypes.

        The values of `expected` do not count, so torch's meta device will do.
        """
        for name in sorted(expected.keys() ^ self.tensors.keys()):
            fault = f"lacks '{name}'" if name in expected else f"has '{name}', which is not known"
            raise UserError(f"{self.path} {fault}; it was edited, or belongs to another object.")
        for name, tensor in expected.items():
            required, actual = (tensor.dtype, tuple(tensor.shape)), self.tensors[name]
            if actual != required:
                raise UserError(
                    f"{self.path} holds '{name}' as {_words(*actual)}, where {_words(*required)} "
                    f"belongs; it was edited, or belongs to another object."
                )


def _words(dtype: torch.dtype, shape: tuple[int, ...]) -> str:
    return f"{str(dtype).removeprefix('torch.')} {' x '.join(map(str, shape)) or 'number'}"


def read_header(path: Path) -> Header:
    """Read the header, of at most 4 MiB, of a safetensors file; no tensor is read."""
    try:
        with open_plain(path) as file:
            length = int.from_bytes(file.read(8), "little")
            if MAX_HEADER < length <= os.fstat(file.fileno()).st_size:
                raise UserError(
                    f"The header of {path} has {length:,} bytes, and at most {MAX_HEADER:,} are "
                    f"read; another program wrote it."
                )
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            tensors = {
                name: (_DTYPES[each.get_dtype()], tuple(each.get_shape()))
                for name, each in slices.items()
            }
            about = file.metadata() or {}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except KeyError as error:
        raise UserError(f"{path} has tensors of dtype {error}; another program wrote it.") from None
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a safetensors file, or was cut off ({error}); copy it again."
        ) from None
    if any(len(shape) > MAX_DIMENSIONS for _, shape in tensors.values()):
        raise UserError(f"{path} has tensors of more than {MAX_DIMENSIONS} dimensions.")
    return Header(path=path, about=about, tensors=tensors)


def read_tensors(path: Path, expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file, compared with `expected` unless it is None.

    It allocates no more memory than the file has bytes.
    """
    header = read_header(path)
    if expected is not None:
        header.check(expected)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def map_tensor(header: Header, name: str) -> Tensor:
    """Return a finite tensor that is memory-mapped copy-on-write: the file never changes."""
    try:
        with safe_open(header.path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{header.path} cannot be read: {error}.") from None
    check_finite(header.path, {name: tensor})
    return tensor


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise UserError if a tensor from a file holds NaN or infinity."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        # Two numbers, where `isfinite` of all would allocate a mask.
        if not torch.stack(torch.aminmax(tensor)).isfinite().all():
            raise UserError(
                f"{path} holds NaN or infinity in '{name}'; the training diverged or the file "
                f"was edited, so train again."
            )


def write_tensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: dict[str, str],
    after_piece: Callable[[], None] = lambda: None,
) -> str:
    """Write a safetensors file, flush it to the disk, and return its sha256.

    The library copies tensors before it writes, and hides the number of a system's error, which the
    OSError of this function has. `after_piece` is called after each piece of 32 MiB, to release
    memory.
    """
    # Largest items first aligns every array.
    ordered = sorted(tensors.items(), key=lambda pair: (-pair[1].element_size(), pair[0]))
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in _pieces(ordered, metadata):
            digest.update(piece)
            file.write(piece)
            after_piece()
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _pieces(ordered: list[tuple[str, Tensor]], metadata: dict[str, str]) -> Iterator[memoryview]:
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.nbytes
        entries[name] = {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    yield memoryview(struct.pack("<Q", len(header)) + header)
    for _, tensor in ordered:
        flat = tensor.detach().cpu().reshape(-1)
        if flat.stride() != (1,):
            # One number of a column counts as contiguous, whatever its stride.
            flat = flat.clone(memory_format=torch.contiguous_format)
        step = max(1, _PIECE_BYTES // tensor.element_size())
        for first in range(0, len(flat), step):
            yield memoryview(flat[first : first + step].view(torch.uint8).numpy().data)
