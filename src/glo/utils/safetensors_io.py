"""Tensors on disk, read without trusting the file: safetensors.

The header of such a file is a claim. It is compared with the size of the file, and with what the
reader wants, before memory is taken.
"""

import math
import os
from collections.abc import Mapping
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

__all__ = ["Header", "check_finite", "map_tensor", "read_header", "read_tensors"]

LARGEST_HEADER = 4 * 2**20
"""Bytes of names, shapes and descriptions; the longest hold the names of labels."""

_MOST_DIMENSIONS = 8
_ABOUT = "__metadata__"
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@final
@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file says of itself; it was compared with the size of the file.

    Attributes:
        path: of the file.
        about: texts that its writer added.
        tensors: dtype and shape of each tensor, by name.
    """

    path: Path
    about: dict[str, str]
    tensors: dict[str, tuple[torch.dtype, tuple[int, ...]]]

    @property
    def count(self) -> int:
        """How many numbers all tensors hold."""
        return sum(math.prod(shape) for _, shape in self.tensors.values())

    def described(self, name: str) -> dict[str, Any]:
        """Return one of the texts, which is a JSON object.

        Raises:
            UserError: it is not there, or not such an object.
        """
        values = parse_json(self.about.get(name, "null"), f"What {self.path} says of itself")
        if not isinstance(values, dict):
            raise UserError(f"{self.path} does not say what it is; it was made by something else.")
        return values

    def check(self, wanted: Mapping[str, Tensor]) -> None:
        """Check that the file holds tensors of these names, shapes and dtypes, and no others.

        Args:
            wanted: by name; their values do not count, so they may be on torch's meta device.

        Raises:
            UserError: it does not.
        """
        for name in sorted(wanted.keys() ^ self.tensors.keys()):
            fault = f"lacks '{name}'" if name in wanted else f"has '{name}', which is not known"
            raise UserError(f"{self.path} {fault}; it was edited, or is of something else.")
        for name, like in wanted.items():
            given = self.tensors[name]
            if given != (like.dtype, tuple(like.shape)):
                raise UserError(
                    f"{self.path} holds '{name}' as {_words(*given)}, where "
                    f"{_words(like.dtype, tuple(like.shape))} belongs; it was edited, or is of "
                    f"something else."
                )


def read_header(path: Path) -> Header:
    """Read what a safetensors file says of itself.

    Raises:
        UserError: it cannot be read, is not such a file, is cut off, or claims what it cannot hold.

    Example:
        >>> import tempfile
        >>> from glo.utils.safetensors_writer import write_tensors
        >>> path = Path(tempfile.mkdtemp()) / "x.safetensors"
        >>> _ = write_tensors(path, {"x": torch.zeros(2, 3)}, {"made": "today"})
        >>> read_header(path).tensors, read_header(path).about
        ({'x': (torch.float32, (2, 3))}, {'made': 'today'})
    """
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size - 8
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size:
                raise UserError(f"{path} is not a safetensors file, or was cut off; fetch it anew.")
            if length > LARGEST_HEADER:
                raise UserError(
                    f"The header of {path} takes {length:,} bytes, and at most {LARGEST_HEADER:,} "
                    f"are read; it was made by something else."
                )
            text = file.read(length).decode("utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    values = parse_json(text, f"The header of {path}")
    try:
        about: dict[str, str] = dict(values.pop(_ABOUT, {}))
        if not all(isinstance(text, str) for text in about.values()):
            raise TypeError("what a writer adds are texts")
        claims = {name: _claim(value) for name, value in values.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"The header of {path} is not one of safetensors; fetch it anew.") from None
    _check_places(path, claims, size - length)
    return Header(path=path, about=about, tensors={name: c[:2] for name, c in claims.items()})


def read_tensors(path: Path, wanted: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file; it takes no more memory than the file holds bytes.

    Args:
        path: the file.
        wanted: what it must hold, as for `Header.check`; None: anything.

    Raises:
        UserError: it cannot be read, is damaged, or holds something else.

    Example:
        >>> read_tensors(Path("no/such/file"))
        Traceback (most recent call last):
        glo.errors.UserError: no/such/file cannot be read: No such file or directory.
    """
    header = read_header(path)
    if wanted is not None:
        header.check(wanted)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def map_tensor(header: Header, name: str) -> Tensor:
    """Return a tensor that stays in its file: what is used of it is read then, and not kept.

    What is written to it stays with this process; the file is as it was.

    Args:
        header: of the file.
        name: of a tensor that it has.

    Raises:
        UserError: it cannot be read, is damaged, or holds NaN or infinity.

    Example:
        >>> import tempfile
        >>> from glo.utils.safetensors_writer import write_tensors
        >>> path = Path(tempfile.mkdtemp()) / "x.safetensors"
        >>> _ = write_tensors(path, {"x": torch.ones(2), "y": torch.zeros(2)}, {})
        >>> map_tensor(read_header(path), "x")
        tensor([1., 1.])
    """
    try:
        with safe_open(header.path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{header.path} cannot be read: {error}.") from None
    check_finite(header.path, {name: tensor})
    return tensor


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Check that there is no NaN and no infinity in tensors that come from a file.

    Raises:
        UserError: there is.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            # These two numbers take no memory, as a mask of all would.
            low, high = torch.aminmax(tensor)
            if not bool(torch.isfinite(low) & torch.isfinite(high)):
                raise UserError(
                    f"{path} holds NaN or infinity in '{name}'; the training diverged or the file "
                    f"was edited, so train again."
                )


_Claim = tuple[torch.dtype, tuple[int, ...], int, int]


def _claim(value: Any) -> _Claim:
    """Return dtype, shape, and the first byte and the one after the last."""
    (first, end), shape = value["data_offsets"], tuple(value["shape"])
    if not all(type(number) is int and number >= 0 for number in (first, end, *shape)):
        raise ValueError("places and lengths are whole numbers from 0")
    if len(value) != 3 or len(shape) > _MOST_DIMENSIONS:
        raise ValueError("there is more than belongs there")
    return _DTYPES[value["dtype"]], shape, first, end


def _check_places(path: Path, claims: dict[str, _Claim], size: int) -> None:
    """Check that the tensors fill the file, one after the other, as their shapes need."""
    place = 0
    for dtype, shape, first, end in sorted(claims.values(), key=lambda claim: claim[2:]):
        if first != place or end - first != math.prod(shape) * dtype.itemsize:
            raise UserError(
                f"The tensors of {path} do not lie where its header says; fetch it anew."
            )
        place = end
    if place != size:
        raise UserError(
            f"{path} claims {place:,} bytes of tensors and holds {size:,}; it was cut off, so "
            f"fetch it anew."
        )


def _words(dtype: torch.dtype, shape: tuple[int, ...]) -> str:
    return f"{str(dtype).removeprefix('torch.')} {' x '.join(map(str, shape)) or 'number'}"
