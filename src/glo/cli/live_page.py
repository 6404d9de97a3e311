"""`glo explore` in a child process beside a training.

A thread would share the interpreter and torch's global random numbers with the training, and so
could change its result.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import final

from glo.training.events import Begin, Event

__all__ = ["LivePage"]

_STOP_SECONDS = 5.0


@final
class LivePage:
    """Page of a run, served from the first event of its training until `stop`.

    Args:
        decoder: name of the class of a custom decoder, or None.
    """

    def __init__(self, decoder: str | None = None) -> None:
        self._decoder = decoder
        self._process: subprocess.Popen[bytes] | None = None
        self._output = b""
        self._reported = False

    def after(self, event: Event, folder: Path) -> str | None:
        """Start the server at the first event, and report its address.

        Args:
            event: last event of the training.
            folder: path of the run folder.

        Returns:
            once, a sentence with the address or a warning; else None.
        """
        if self._process is None and isinstance(event, Begin):
            self._process = _start(folder, self._decoder)
        if self._process is None or self._process.stdout is None or self._reported:
            return None
        self._output += self._process.stdout.read() or b""
        address, newline, _ = self._output.partition(b"\n")
        self._reported = bool(newline) or self._process.poll() is not None
        if newline:
            return f"The page that shows this run:\n{address.decode()}"
        if self._reported:
            return "Warning: the page could not be served; training continues without it."
        return None

    def stop(self) -> None:
        """Stop the server."""
        if self._process is None:
            return
        # Closes the pipe and waits for the end.
        with self._process:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()


def _start(folder: Path, decoder: str | None) -> "subprocess.Popen[bytes]":
    words = ["-m", "glo", "explore", str(folder), "--no-browser", "--parent", str(os.getpid())]
    words += ["--decoder", decoder] if decoder else []
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Ctrl-C is for the training, which continues until its step is complete.
        start_new_session=True,
    )
    assert process.stdout is not None, "a pipe was requested"
    os.set_blocking(process.stdout.fileno(), False)
    return process
