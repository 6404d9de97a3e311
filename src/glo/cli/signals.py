"""Ctrl-C and SIGTERM as a request to stop after the current step."""

import signal
import sys
from types import FrameType
from typing import Any, Self, final

__all__ = ["StopRequest"]


@final
class StopRequest:
    """Context manager that records the first signal; a second one interrupts at once.

    An interrupt inside a step would leave updated weights beside codes of the step before.

    Example:
        >>> with StopRequest() as stop:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     stop.requested
        True
    """

    def __init__(self) -> None:
        self.requested = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print("\nglo: stopping after this step; again to stop at once.", file=sys.stderr)
