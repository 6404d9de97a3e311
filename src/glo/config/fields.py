"""Flat names and values from and to TOML, with their types checked."""

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from glo.errors import UserError, suggest

__all__ = ["checked", "toml_lines"]


def checked(values: Mapping[str, Any], hints: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return `values` with names and types checked and lists turned into tuples.

    Args:
        values: names to values, as a TOML parser gives them.
        hints: the names that are allowed, to their types.
        where: what the values came from, named in messages.

    Raises:
        UserError: an unknown name or a value of the wrong type.

    Example:
        >>> checked({"rates": [0.5, 1]}, {"rates": tuple[float, float]}, where="my.toml")
        {'rates': (0.5, 1.0)}
    """
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise UserError(f"{where} has no setting '{name}'.{suggest(name, hints)}")
        result[name] = _converted(name, value, hints[name], where)
    return result


def _converted(name: str, value: Any, hint: Any, where: str) -> Any:
    allowed = get_args(hint) if get_origin(hint) not in (tuple, Literal) else (hint,)
    kinds = [kind for kind in (allowed or (hint,)) if kind is not type(None)]
    kind = kinds[0]
    if value is None and type(None) in allowed:
        return None
    if get_origin(kind) is Literal:
        return value
    if get_origin(kind) is tuple:
        if isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)):
            return tuple(float(number) for number in value)
        raise UserError(f"{where} gives {name} = {value!r}; it must be two numbers, [0.5, 0.999].")
    if kind is float and _is_number(value):
        return float(value)
    if type(value) is not kind:
        raise UserError(f"{where} gives {name} = {value!r}; it must be {_KINDS[kind]}.")
    return value


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def toml_lines(values: Mapping[str, Any]) -> str:
    """Write flat settings as TOML; JSON's spelling of texts, numbers, lists is TOML's too.

    Example:
        >>> print(toml_lines({"epochs": 8, "loss": "mse", "shuffle": True}), end="")
        epochs = 8
        loss = "mse"
        shuffle = true
    """
    return "".join(f"{name} = {_spelled(value)}\n" for name, value in values.items())


def _spelled(value: Any) -> str:
    # TOML knows no surrogates, so letters are kept as they are; of those that JSON leaves alone it
    # forbids one, the delete character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
