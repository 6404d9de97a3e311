"""JSON and TOML of others, read with limits on size, depth and numbers.

Both are small files in a run or beside it. What a parser makes of a few megabytes can be large, and
what it takes to make it can grow with their square; so the bounds come before the parser.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glo.errors import UserError
from glo.utils.files import read_text, write_text

__all__ = [
    "LARGEST_JSON",
    "LARGEST_TOML",
    "finite_json",
    "parse_json",
    "read_json",
    "read_toml",
    "toml_lines",
    "write_json",
]

LARGEST_JSON = 4 * 2**20
"""Bytes of a JSON file."""

LARGEST_TOML = 8 * 2**20
"""Bytes of a TOML file; the longest are lists of forgotten rows."""

_MOST_LINES = 50_000
# A key of n parts costs tomllib n^2 in time and memory: 64 KiB of dots take 4 GiB. And an array of
# some megabytes takes it a minute.
_MARKS, _MOST_MARKS = ".,[{", 16
# Any number of them may stand in a comment, and in a text such as a path or a list of rows.
_PLAIN = re.compile(r'\s*(#.*|[\w-]+\s*=\s*"[^"\\]*"\s*)')
_DEEPEST = 16
_LARGEST_NUMBER = 2**63


def finite_json(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by None, and tuples by lists.

    Example:
        >>> finite_json({"a": (1.0, float("nan")), "b": {"c": float("inf")}})
        {'a': [1.0, None], 'b': {'c': None}}
    """
    if isinstance(value, dict):
        return {name: finite_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path, *, most: int = LARGEST_JSON) -> Any:
    """Return what a JSON file holds.

    Args:
        path: the file.
        most: bytes that it may hold.

    Raises:
        UserError: it is too large, not JSON, too deep, names something twice, or holds a whole
            number beyond 64 bits.
        OSError: it cannot be read.
    """
    return parse_json(read_text(path, most=most), str(path))


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(finite_json(values), indent=2) + "\n")


def parse_json(text: str, what: str) -> Any:
    """Return what a JSON text holds, as `read_json` does.

    Args:
        text: the text.
        what: how messages call it.

    Example:
        >>> parse_json('{"a": [1, 2.5, null]}', "This")
        {'a': [1, 2.5, None]}
        >>> parse_json('{"a": 1, "a": 2}', "This")
        Traceback (most recent call last):
        glo.errors.UserError: This is not JSON: it names 'a' twice.
    """
    try:
        values = json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        raise UserError(f"{what} is nested too deeply; write it anew.") from None
    except ValueError as error:
        raise UserError(f"{what} is not JSON: {str(error).rstrip('.')}.") from None
    _check(values, what)
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file.

    Raises:
        UserError: it does not exist, is not TOML, or goes beyond what settings need: 8 MiB, 50,000
            lines, 16 dots, commas and brackets in a line, whole numbers of 64 bits.
    """
    try:
        text = read_text(path, most=LARGEST_TOML)
        _check_lines(text, str(path))
        values = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except RecursionError:
        raise UserError(f"{path} is not a TOML file of settings: it is too deep.") from None
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path} is not a TOML file: {error}.") from None
    _check(values, str(path))
    return values


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"it names {name!r} twice")
        values[name] = value
    return values


def _check_lines(text: str, what: str) -> None:
    # Of what Python calls the end of a line, TOML knows this one alone.
    lines = text.split("\n")
    if len(lines) > _MOST_LINES:
        raise UserError(
            f"{what} is not a TOML file of settings: it has {len(lines):,} lines, and {_MOST_LINES}"
            f" are enough for any."
        )
    for number, line in enumerate(lines, 1):
        marks = sum(map(line.count, _MARKS))
        if marks > _MOST_MARKS and not _PLAIN.fullmatch(line):
            raise UserError(
                f"{what} is not a TOML file of settings: line {number} holds {marks:,} dots, commas"
                f" and brackets outside a simple text, and {_MOST_MARKS} are enough for any."
            )


def _check(values: Any, what: str) -> None:
    # Not by recursion, which ends where a file is deeper than Python's stack.
    level = [values]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, int) and not -_LARGEST_NUMBER <= value < _LARGEST_NUMBER:
                # Such a number may have too many digits to be shown.
                raise UserError(f"{what} holds a whole number beyond 64 bits; give a smaller one.")
        level = below
    if level:
        raise UserError(f"{what} is nested more than {_DEEPEST} deep; write it anew.")


def toml_lines(values: Mapping[str, Any]) -> str:
    """Return names and values as lines of TOML, which spells strings, numbers and lists as JSON.

    Example:
        >>> print(toml_lines({"epochs": 8, "loss": "mse", "shuffle": True}), end="")
        epochs = 8
        loss = "mse"
        shuffle = true
    """
    return "".join(f"{name} = {_toml_value(value)}\n" for name, value in values.items())


def _toml_value(value: Any) -> str:
    # TOML has no surrogate escapes, so letters are written as they are; of the characters that JSON
    # leaves alone it forbids the delete character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
