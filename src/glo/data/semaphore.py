"""How much may be unpacked at a time, by all threads together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

__all__ = ["WeightedSemaphore"]


@final
class WeightedSemaphore:
    """Let in what fits, and let the rest wait; what is larger than all the room goes in alone.

    Args:
        room: how much may be inside.

    Example:
        >>> gate = WeightedSemaphore(10)
        >>> with gate.inside(8):
        ...     gate.taken
        8
    """

    def __init__(self, room: int) -> None:
        self.taken = 0
        self._room = room
        self._changed = threading.Condition()

    @contextmanager
    def inside(self, size: int) -> Iterator[None]:
        """Wait until there is room for `size`, and take it as long as the block lasts."""
        with self._changed:
            self._changed.wait_for(lambda: not self.taken or self.taken + size <= self._room)
            self.taken += size
        try:
            yield
        finally:
            with self._changed:
                self.taken -= size
                self._changed.notify_all()
