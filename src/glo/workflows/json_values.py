"""Values that any reader of JSON takes."""

import math
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return the value with None in the place of NaN and infinity, and lists for tuples.

    Example:
        >>> plain({"a": (1.0, float("nan")), "b": {"c": float("inf")}})
        {'a': [1.0, None], 'b': {'c': None}}
    """
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
