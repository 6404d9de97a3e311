"""A page beside a run in training: `glo explore` in a process of its own.

A thread would share the interpreter and torch's global random numbers with the training, and a run
that is watched must come out as one that is not.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import final

from glo.training.events import Begin, Event

__all__ = ["LivePage"]

_PATIENCE = 5.0


@final
class LivePage:
    """The page of a run, from the first event of its training to `stop`.

    Args:
        decoder: name of the class that the user named for its decoder, or None.
    """

    def __init__(self, decoder: str | None = None) -> None:
        self._decoder = decoder
        self._process: subprocess.Popen[bytes] | None = None
        self._printed = b""
        self._told = False

    def after(self, event: Event, folder: Path) -> str | None:
        """Begin to serve once a run has begun, and tell when the page can be opened.

        Args:
            event: that just happened.
            folder: of the run.

        Returns:
            a sentence, once: where the page is, or that there is none.
        """
        if self._process is None:
            if isinstance(event, Begin):
                self._process = _start(folder, self._decoder)
            return None
        return None if self._told else self._news(self._process)

    def _news(self, process: "subprocess.Popen[bytes]") -> str | None:
        assert process.stdout is not None, "a pipe was asked for"
        self._printed += process.stdout.read() or b""
        address, newline, _ = self._printed.partition(b"\n")
        self._told = bool(newline) or process.poll() is not None
        if newline:
            return f"The page that shows this run:\n{address.decode()}"
        if self._told:
            return "Warning: the page could not be served; training goes on without it."
        return None

    def stop(self) -> None:
        """End the page."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _start(folder: Path, decoder: str | None) -> "subprocess.Popen[bytes]":
    words = ["-m", "glo", "explore", str(folder), "--no-browser", "--parent", str(os.getpid())]
    words += ["--decoder", decoder] if decoder else []
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Ctrl-C is for the training, which goes on until its step is whole.
        start_new_session=True,
    )
    assert process.stdout is not None, "a pipe was asked for"
    os.set_blocking(process.stdout.fileno(), False)
    return process
