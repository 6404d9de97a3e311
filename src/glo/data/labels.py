"""Labels of examples: class names, encoded as numbers from 0."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError, UserTypeError, printable

__all__ = [
    "UNLABELED",
    "Label",
    "encode_labels",
    "encode_targets",
    "find_label",
    "label_name",
    "match_labels",
]

UNLABELED = -1
"""Number of an example without a label."""

Label = str | int | float | bool

# Types of missing values in Python and pandas.
_MISSING = ("NoneType", "NAType", "NaTType")


def label_name(value: Label) -> str:
    """Return the class name of a value: integers without a fraction, texts without blanks around.

    Example:
        >>> label_name(3), label_name(3.0), label_name(-1), label_name(0.5), label_name("3.0 ")
        ('3', '3', '-1', '0.5', '3.0')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    return printable(str(value).strip())


def find_label(value: Label, names: Sequence[str]) -> int | None:
    """Return the number of a class from its name, or None if there is no such class."""
    for name in (label_name(value), str(value)):
        if name in names:
            return names.index(name)
    return None


def encode_labels(
    values: NDArray[Any] | Sequence[Any], what: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Encode class names as numbers: names are sorted, as numbers where all of them are.

    Args:
        values: (N,) or (N, 1), integers, floats, booleans or strings; None, NaN, pandas.NA and
            blank strings are missing.
        what: the labels in messages.

    Returns:
        int64 (N,), the place of each name among all names, -1 where the label is missing; names.

    Raises:
        UserError: another shape.
        UserTypeError: values that name no class, such as lists.

    Example:
        >>> encode_labels(np.array([10.0, 2.0, np.nan]), "y")
        (array([ 1,  0, -1]), ('2', '10'))
    """
    array = values if isinstance(values, np.ndarray) else _objects(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UserError(f"{what} has shape {array.shape}; give one label for each example, (N,).")
    if array.dtype.kind not in "biufUSO":
        raise UserTypeError(f"{what} is of dtype {array.dtype}; give integers or strings.")
    missing = _missing(array)
    kept = array[~missing]
    # Few distinct values are converted to names, however many examples there are.
    if array.dtype.kind == "O":
        place: dict[tuple[bool, Any], int] = {}
        keys = [_key(value, what) for value in kept.tolist()]
        inverse = np.array([place.setdefault(key, len(place)) for key in keys], np.int64)
        distinct = [value for _, value in place]
    else:
        unique, inverse = np.unique(kept, return_inverse=True)
        distinct = unique.tolist()
    spelled = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in distinct]
    spelled = [label_name(value) for value in spelled]
    names = sorted(set(spelled), key=_sort_key(spelled))
    number = {name: place for place, name in enumerate(names)}
    numbers = np.full(len(array), UNLABELED, np.int64)
    if len(kept):
        numbers[~missing] = np.array([number[name] for name in spelled], np.int64)[inverse]
    return numbers, tuple(names)


def encode_targets(
    values: NDArray[Any] | Sequence[Any], what: str
) -> tuple[NDArray[np.int64] | None, tuple[str, ...], tuple[str, ...]]:
    """Encode values that came with examples, if they are classes: names, or one-hot rows.

    Args:
        values: (N,), (N, 1) as for `encode_labels`, or (N, K).
        what: the labels in messages.

    Returns:
        int64 (N,), or None for measurements and several labels of an example; the names of the
        classes; one sentence for a decision.

    Example:
        >>> encode_targets(np.array([[0, 1], [1, 0]]), "y")[0]
        array([1, 0])
        >>> encode_targets(np.array([0.25, 1.5]), "y")[2]
        ('y are not whole numbers, so they are no classes: the examples have no labels.',)
    """
    array = values if isinstance(values, np.ndarray) else _objects(values)
    if array.ndim > 1 and array.shape[1:] != (1,):
        shape = "x".join(map(str, array.shape[1:]))
        if array.ndim != 2 or not _is_one_hot(array):
            note = f"{what} are {shape} values for each example and not one-hot: left out."
            return None, (), (note,)
        note = f"{what} are one-hot: the class of an example is the number of its column, from 0."
        numbers = np.argmax(array, axis=1)
        return numbers, tuple(map(str, range(array.shape[1]))), (note,)
    if array.dtype.kind == "f" and (np.isfinite(array) & (array != np.floor(array))).any():
        note = f"{what} are not whole numbers, so they are no classes: the examples have no labels."
        return None, (), (note,)
    return *encode_labels(array, what), ()


def match_labels(
    labels: NDArray[np.int64], names: Sequence[str], known: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number classes by the names in `known`, with new names after them.

    Args:
        labels: int64 (N,), numbers among `names`, -1 for none.
        names: names of the classes 0, 1, ....
        known: names that have a number already.

    Returns:
        int64 (N,), numbers among the returned names; names.

    Example:
        >>> match_labels(np.array([0, 1, -1]), ["dog", "owl"], ["cat", "dog"])
        (array([ 1,  2, -1]), ('cat', 'dog', 'owl'))
    """
    present = [names[number] for number in np.unique(labels[labels >= 0])]
    merged = tuple(dict.fromkeys([*known, *present]))
    place = {name: number for number, name in enumerate(merged)}
    table = np.array([*(place.get(name, UNLABELED) for name in names), UNLABELED], np.int64)
    return table[labels], merged


def _is_one_hot(array: NDArray[Any]) -> bool:
    if array.dtype.kind not in "biuf":
        return False
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    # NumPy would convert a list of strings and None, or of integers and None, to one type.
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_]
    if array.dtype.kind == "f":
        missing = np.isnan(array)
        return missing
    if array.dtype.kind not in "OUS":
        return np.zeros(len(array), bool)
    return np.array([_is_missing(value) for value in array.tolist()], bool)


def _is_missing(value: Any) -> bool:
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    if isinstance(value, str | bytes):
        return not value.strip()
    return type(value).__name__ in _MISSING


def _key(value: Any, what: str) -> tuple[bool, Any]:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, str | bytes | int | float):
        raise UserTypeError(f"{what} has {value!r}; give integers or strings as class names.")
    # 1 and True are equal in Python and different names.
    return isinstance(value, bool), value


def _sort_key(names: list[str]) -> Any:
    try:
        values = {name: float(name) for name in names}
    except ValueError:
        return str
    return lambda name: (values[name], name)
