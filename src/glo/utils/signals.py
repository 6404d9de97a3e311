"""Graceful stop on Ctrl-C and SIGTERM: finish the current step, then save."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self, final

__all__ = ["StopRequest"]


@final
class StopRequest:
    """Context manager that records the first SIGINT or SIGTERM; a second one interrupts at once.

    An interrupt in the middle of a step would leave updated weights beside codes of the step
    before. Outside the main thread, where Python allows no handlers, signals are left alone.

    Attributes:
        requested: whether a signal came.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {
                number: signal.signal(number, self._record) for number in self._SIGNALS
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print("\nglo: stopping after this step; again to stop at once.", file=sys.stderr)
