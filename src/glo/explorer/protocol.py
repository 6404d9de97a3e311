"""The forms in which numbers travel between the page and this program.

All numbers are little-endian and in C order. What comes in is checked here, once: whoever computes
with it needs no further doubt.
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

__all__ = [
    "bytes_of",
    "codes_from",
    "line",
    "number_from",
    "object_from",
    "packed",
    "packed_codes",
    "pixels_from",
    "unpacked",
    "whole",
    "word_from",
]

Word = TypeVar("Word", bound=str)


def packed(numbers: NDArray[Any], kind: str) -> str:
    """Return numbers in base64.

    Args:
        numbers: of any shape.
        kind: of the bytes: '<f4', '<i4' or 'u1'.

    Example:
        >>> packed(np.array([1, 258]), "<i4")
        'AQAAAAIBAAA='
    """
    return base64.b64encode(np.ascontiguousarray(numbers, kind).tobytes()).decode()


def packed_codes(codes: Tensor) -> str:
    """Return codes as float32 in base64."""
    return packed(codes.detach().cpu().numpy(), "<f4")


def bytes_of(examples: Tensor) -> tuple[bytes, tuple[int, ...]]:
    """Return images as uint8 (B, H, W, C) or vectors as float32 (B, F), and that shape."""
    if examples.ndim == 4:
        pixels = to_uint8(examples)
        return pixels.tobytes(), pixels.shape
    rows = np.ascontiguousarray(examples.numpy(), "<f4")
    return rows.tobytes(), rows.shape


def unpacked(text: object, name: str) -> bytes:
    """Return the bytes behind base64.

    Raises:
        UserError: it is not base64.
    """
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise UserError(f"{name} is not base64; send the bytes in base64.") from None


def codes_from(body: bytes, dim: int, *, most: int) -> Tensor:
    """Return the codes in raw float32.

    Args:
        body: B D numbers.
        dim: D.
        most: of B.

    Returns:
        float32 (B, D), B from 1 to `most`, all finite.

    Raises:
        UserError: there are too few, too many or half ones, or NaN or infinity among them.

    Example:
        >>> codes_from(np.ones(4, "<f4").tobytes(), 2, most=8).shape
        torch.Size([2, 2])
    """
    count, rest = divmod(len(body), 4 * dim)
    if rest or not 1 <= count <= most:
        wanted = "one code" if most == 1 else f"1 to {most} codes"
        raise UserError(
            f"The body holds {len(body):,} bytes; send {wanted} of {dim} float32 numbers, "
            f"{4 * dim} bytes each."
        )
    codes = torch.from_numpy(np.frombuffer(body, "<f4").astype(np.float32)).view(count, dim)
    # Squares of larger numbers are not finite any more, and neither would the picture be.
    if not bool((codes.abs() < 1e15).all()):
        raise UserError("A code holds NaN, infinity or a number beyond 1e15; send others.")
    return codes


def pixels_from(values: dict[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the bytes of an image or mask, uint8 of a shape, from a field in base64.

    Raises:
        UserError: it is not there, or of another size.
    """
    body, wanted = unpacked(values.get(name), name), math.prod(shape)
    if len(body) != wanted:
        sides = " x ".join(map(str, shape))
        raise UserError(f"{name} holds {len(body):,} bytes; send {sides}, {wanted:,} in all.")
    return np.frombuffer(body, np.uint8).reshape(shape)


def object_from(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        UserError: it is not one.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UserError("The body is not a JSON object; send one.")
    return values


def whole(value: object, name: str, low: int, high: int) -> int:
    """Return a whole number in a range, given as a number or, in an address, as digits.

    Raises:
        UserError: it is not one.

    Example:
        >>> whole("7", "row", 0, 9), whole(7, "row", 0, 9)
        (7, 7)
        >>> whole(1.5, "row", 0, 9)
        Traceback (most recent call last):
        glo.errors.UserError: row is 1.5; give a whole number from 0 to 9.
    """
    number = value
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        # Repeated in the sentence, but not at any length.
        given = repr(value)[:40]
        raise UserError(f"{name} is {given}; give a whole number from {low} to {high}.")
    return number


def number_from(value: object, name: str, low: float, high: float) -> float:
    """Return a number in a range.

    Raises:
        UserError: it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(f"{name} is {repr(value)[:40]}; give a number from {low:g} to {high:g}.")
    return float(value)


def word_from(value: object, name: str, allowed: Sequence[Word]) -> Word:
    """Return a word that must be one of those allowed.

    Raises:
        UserError: it is not.
    """
    for word in allowed:
        if word == value:
            return word
    raise UserError(f"{name} is {repr(value)[:40]}; choose one of {', '.join(allowed)}.")


def line(values: dict[str, Any]) -> str:
    """Return a line of a stream: one JSON object."""
    return json.dumps(values, separators=(",", ":")) + "\n"
