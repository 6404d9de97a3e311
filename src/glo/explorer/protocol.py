"""Encoding of numbers between the page and the server, and validation of requests.

All numbers are little-endian and in C order. The parsers raise UserError with the field's name,
its value and the values allowed.
"""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data import to_uint8
from glo.errors import UserError

Choice = TypeVar("Choice", bound=str)

# Length of a value's text in a message.
_MAX_TEXT = 40


class NotFound(UserError):
    """The requested thing does not exist; the message gives the reason."""


def array_to_base64(array: NDArray[Any], dtype: str) -> str:
    """Encode an array of any shape as `dtype`: "<f4", "<i4" or "u1"."""
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def codes_to_base64(codes: Tensor) -> str:
    """Encode codes as float32."""
    return array_to_base64(codes.detach().cpu().numpy(), "<f4")


def base64_to_bytes(text: object, name: str) -> bytes:
    """Decode the field `name` of a request."""
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise UserError(f"{name} is not base64; send the bytes in base64.") from None


def examples_to_bytes(examples: Tensor) -> tuple[bytes, tuple[int, ...]]:
    """Return images as uint8 (B, H, W, C) or vectors as float32 (B, F), and that shape."""
    array: NDArray[Any] = examples.numpy().astype("<f4", order="C")
    if examples.ndim == 4:
        array = to_uint8(examples)
    return array.tobytes(), array.shape


def parse_codes(body: bytes, dim: int, *, max_count: int) -> Tensor:
    """Decode raw float32 numbers to 1 to `max_count` finite codes, float32 (B, `dim`)."""
    count, rest = divmod(len(body), 4 * dim)
    if rest or not 1 <= count <= max_count:
        expected = "one code" if max_count == 1 else f"1 to {max_count} codes"
        raise UserError(
            f"The body holds {len(body):,} bytes; send {expected} of {dim} float32 numbers, "
            f"{4 * dim} bytes each."
        )
    codes = torch.from_numpy(np.frombuffer(body, "<f4").astype(np.float32)).view(count, dim)
    # The squares of larger numbers overflow.
    if not bool((codes.abs() < 1e15).all()):
        raise UserError("A code holds NaN, infinity or a number beyond 1e15; send others.")
    return codes


def parse_rows(body: bytes, n: int) -> Tensor:
    """Decode raw int32 numbers to 1 to `n` row numbers in [0, n), int64 (m,)."""
    count, rest = divmod(len(body), 4)
    if rest or not 1 <= count <= n:
        raise UserError(
            f"The body holds {len(body):,} bytes; send 1 to {n:,} row numbers of 4 bytes each."
        )
    rows = torch.from_numpy(np.frombuffer(body, "<i4").astype(np.int64))
    for row in (int(rows.min()), int(rows.max())):
        parse_int(row, "row", 0, n - 1)
    return rows


def parse_pixels(values: dict[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Decode the field `name`, base64 of an image or mask, to uint8 of a shape."""
    body, size = base64_to_bytes(values.get(name), name), math.prod(shape)
    if len(body) != size:
        sides = " x ".join(map(str, shape))
        raise UserError(f"{name} holds {len(body):,} bytes; send {sides}, {size:,} in all.")
    return np.frombuffer(body, np.uint8).reshape(shape)


def parse_object(body: bytes) -> dict[str, Any]:
    """Decode a JSON object."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UserError("The body is not a JSON object; send one.")
    return values


def parse_int(value: object, name: str, low: int, high: int) -> int:
    """Check an integer in [low, high], given as a number or, in an address, as digits.

    Example:
        >>> parse_int("7", "row", 0, 9), parse_int(7, "row", 0, 9)
        (7, 7)
        >>> parse_int(1.5, "row", 0, 9)
        Traceback (most recent call last):
        glo.errors.UserError: row is 1.5; give an integer from 0 to 9.
    """
    number = value
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        text = repr(value)[:_MAX_TEXT]
        raise UserError(f"{name} is {text}; give an integer from {low} to {high}.")
    return number


def parse_float(value: object, name: str, low: float, high: float) -> float:
    """Check a number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        text = repr(value)[:_MAX_TEXT]
        raise UserError(f"{name} is {text}; give a number from {low:g} to {high:g}.")
    return float(value)


def parse_choice(value: object, name: str, choices: Sequence[Choice]) -> Choice:
    """Check a string against its allowed values."""
    for choice in choices:
        if choice == value:
            return choice
    raise UserError(f"{name} is {repr(value)[:_MAX_TEXT]}; choose one of {', '.join(choices)}.")


def json_line(values: dict[str, Any]) -> str:
    """Encode one JSON object as a line of a stream."""
    return json.dumps(values, separators=(",", ":")) + "\n"
