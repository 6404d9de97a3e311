"""`glo explore` in a child process beside a training.

A thread would share the interpreter and torch's global random numbers with the training, and so
could change its result.
"""

import os
import subprocess
import sys
from typing import Any, final

from glo.training.callbacks import Callback
from glo.training.statistics import StepRecord

_STOP_SECONDS = 5.0


@final
class LivePage(Callback):
    """Callback that serves the page of a run from the start of its training until `stop`."""

    def __init__(self, decoder: str | None = None) -> None:
        self._decoder = decoder
        self._process: subprocess.Popen[bytes] | None = None
        self._output = b""
        self._reported = False

    def on_train_begin(self, training: Any) -> None:
        """Start the server."""
        words = [sys.executable, "-m", "glo", "explore", str(training.run.folder), "--no-browser"]
        words += ["--parent", str(os.getpid())]
        words += ["--decoder", self._decoder] if self._decoder else []
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Ctrl-C is for the training, which continues until its step is complete.
            start_new_session=True,
        )
        assert self._process.stdout is not None, "a pipe was requested"
        os.set_blocking(self._process.stdout.fileno(), False)

    def on_step(self, training: Any, record: StepRecord) -> None:
        """Print the address of the page, or a warning, once it is known."""
        if self._process is None or self._process.stdout is None or self._reported:
            return
        self._output += self._process.stdout.read() or b""
        address, newline, _ = self._output.partition(b"\n")
        self._reported = bool(newline) or self._process.poll() is not None
        if newline:
            print(f"The page that shows this run:\n{address.decode()}", flush=True)
        elif self._reported:
            print("Warning: the page could not be served; training continues without it.")

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
