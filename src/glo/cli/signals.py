"""Ctrl-C and SIGTERM as a request: stop at the next whole step, then save."""

import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self, final

__all__ = ["StopRequest"]


@final
class StopRequest:
    """Catch the first signal and remember it; a second one interrupts at once.

    An interrupt in the middle of a step would leave weights that moved and codes that did not.

    Example:
        >>> with StopRequest() as stop:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     stop.requested
        True
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print("\nglo: stopping after this step; again to stop at once.", file=sys.stderr)
