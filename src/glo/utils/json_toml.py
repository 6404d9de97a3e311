"""Limited reading of JSON and TOML from untrusted files, and writing them.

A parser's result can be far larger than its text, and its time can grow with the square of it, so
sizes are checked before parsing.
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

__all__ = ["finite_json", "parse_json", "read_json", "read_toml", "toml_lines", "write_json"]

MAX_JSON_BYTES = 4 * 2**20
MAX_TOML_BYTES = 8 * 2**20
"""The longest TOML files are lists of deleted rows."""

MAX_LINES = 50_000
# A key of n parts costs tomllib n^2 in time and memory: 64 KiB of dots take 4 GiB, and an array of
# some megabytes takes a minute.
_MARKS, MAX_MARKS = ".,[{", 16
# Comments and simple strings, such as a path or a list of rows, may hold any number of marks.
_SIMPLE_LINE = re.compile(r'\s*(#.*|[\w-]+\s*=\s*"[^"\\]*"\s*)')
MAX_DEPTH = 16
_INT64_END = 2**63


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Return the values of a JSON file, checked as by `parse_json`."""
    return parse_json(read_text(path, max_bytes=max_bytes), str(path))


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(finite_json(values), indent=2) + "\n")


def finite_json(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by None, and tuples by lists."""
    if isinstance(value, dict):
        return {name: finite_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_json(text: str, what: str) -> Any:
    """Return the values of a JSON text; `what` is its name in messages.

    Raises:
        UserError: the text is not JSON, nested too deeply, repeats a name, or has an integer beyond
            64 bits.
    """
    try:
        values = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise UserError(f"{what} is nested too deeply; rewrite it.") from None
    except ValueError as error:
        raise UserError(f"{what} is not JSON: {str(error).rstrip('.')}.") from None
    _check_values(values, what)
    return values


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"it has {name!r} twice")
        values[name] = value
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """Return the values of a TOML file.

    Raises:
        UserError: the file cannot be read, is not TOML, or exceeds the limits: 8 MiB, 50,000 lines,
            16 dots, commas and brackets in a line, integers of 64 bits.
    """
    try:
        text = read_text(path, max_bytes=MAX_TOML_BYTES)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    _check_lines(text, path)
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{path} is not a TOML file of settings: it is too deep.") from None
    except ValueError as error:
        raise UserError(f"{path} is not a TOML file: {error}.") from None
    _check_values(values, str(path))
    return values


def _check_lines(text: str, path: Path) -> None:
    # `splitlines` would split at characters that end no line in TOML.
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise UserError(
            f"{path} is not a TOML file of settings: it has {len(lines):,} lines, at most "
            f"{MAX_LINES} are read."
        )
    for number, line in enumerate(lines, 1):
        marks = sum(map(line.count, _MARKS))
        if marks > MAX_MARKS and not _SIMPLE_LINE.fullmatch(line):
            raise UserError(
                f"{path} is not a TOML file of settings: line {number} has {marks:,} dots, commas"
                f" and brackets outside a simple string, at most {MAX_MARKS} are read."
            )


def _check_values(values: Any, what: str) -> None:
    # A loop, since the nesting may exceed Python's recursion limit.
    level = [values]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, int) and not -_INT64_END <= value < _INT64_END:
                # It may have too many digits to be shown.
                raise UserError(f"{what} has an integer beyond 64 bits; give a smaller one.")
        level = below
    if level:
        raise UserError(f"{what} is nested more than {MAX_DEPTH} deep; rewrite it.")


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
