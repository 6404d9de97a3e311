"""Values that are computed once, however many ask for them at the same time."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar, final

__all__ = ["OnceCache"]

T = TypeVar("T")


@final
class OnceCache:
    """Values by name. Who asks for one while it is computed waits for it, and for no other.

    Example:
        >>> kept = OnceCache()
        >>> kept.get("six", lambda: 2 * 3), kept.get("six", lambda: 0)
        (6, 6)
        >>> "six" in kept, "seven" in kept
        (True, False)
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str, make: Callable[[], T]) -> T:
        """Return the value of a name, made on the first call; nothing is kept if that fails."""
        with self._locks.setdefault(name, threading.Lock()):
            if name not in self._values:
                self._values[name] = make()
            value: T = self._values[name]
            return value
