"""`glo train` in a forked child process, with signals at chosen points.

The parent has imported all modules of a run, so a child takes only the time of its training.
"""

import faulthandler
import importlib
import itertools
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

__all__ = [
    "ForkedRun",
    "Outcome",
    "Prepare",
    "at_change",
    "at_name",
    "count_changes",
    "import_modules",
    "run_forked",
]

_PATIENCE = 60.0
_ON_THE_WAY = (
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "glo.cli.app",
    "glo.workflows.progress",
    "glo.utils.signals",
    "glo.cli.train",
    "glo.cli.live_page",
    "glo.workflows.train",
    "torch._dynamo",
)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a forked run.

    Attributes:
        code: exit code; the negative number of a signal that ended the process.
        text: output.
        seconds: duration.
    """

    code: int
    text: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether the process was killed with signal 9."""
        return self.code == -signal.SIGKILL


Prepare = Callable[[], Callable[[], None] | None]


def nothing() -> None:
    """Prepare nothing."""


@final
class ForkedRun:
    """A child process that runs the program.

    Args:
        words: command-line arguments.
        prepare: function called in the child before the program; its result is called after it.
        env: environment variables of the child.
    """

    def __init__(
        self,
        words: Sequence[str],
        prepare: Prepare = nothing,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.began = time.perf_counter()
        self._text = b""
        self._pipe, write = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _child(words, prepare, env or {}, write)
        os.close(write)

    def send(self, number: int) -> None:
        """Send the child a signal, unless it has exited."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def read_until(self, moment: float) -> bool:
        """Read the output until a time of `time.perf_counter`; return whether the child exited."""
        while (left := moment - time.perf_counter()) > 0:
            if select.select([self._pipe], [], [], left)[0]:
                piece = os.read(self._pipe, 2**16)
                if not piece:
                    return True
                self._text += piece
        return False

    def end(self) -> Outcome:
        """Wait for the exit; kill the child after a timeout, with a note in its output."""
        if not self.read_until(time.perf_counter() + _PATIENCE):
            # It says where it stands first.
            self.send(signal.SIGUSR1)
            self.read_until(time.perf_counter() + 1)
            self._text += b"\nthe harness lost its patience"
            self.send(signal.SIGKILL)
        os.close(self._pipe)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return Outcome(code, self._text.decode(errors="replace"), time.perf_counter() - self.began)


def run_forked(
    words: Sequence[str],
    prepare: Prepare = nothing,
    signals: Sequence[tuple[float, int]] = (),
) -> Outcome:
    """Run the program in a child process until it exits.

    Args:
        words: command-line arguments.
        prepare: function called in the child before the program; its result is called after it.
        signals: seconds after the start and number of each signal it gets.
    """
    process = ForkedRun(words, prepare)
    for seconds, number in signals:
        if not process.read_until(process.began + seconds):
            process.send(number)
    return process.end()


def at_change(folder: Path, place: int, numbers: Sequence[int] = (signal.SIGKILL,)) -> None:
    """Send this process signals just before a numbered file change below a folder.

    Files that are opened to be written, renamed, flushed and removed are counted, and folders that
    are made and removed.

    Args:
        folder: of the run.
        place: which change, from 1.
        numbers: of the signals.
    """
    places = itertools.count(1)

    def changed() -> None:
        if next(places) == place:
            for number in numbers:
                os.kill(os.getpid(), number)

    _watch_changes(folder, changed)


def _watch_changes(folder: Path, changed: Callable[[], object]) -> None:
    def watch(event: str, values: tuple[Any, ...]) -> None:
        if _changes(event, values, str(folder)):
            changed()

    sys.addaudithook(watch)
    flush = os.fsync

    def flushed(file: int) -> None:
        changed()
        flush(file)

    os.fsync = flushed


def at_name(name: str, number: int = signal.SIGKILL) -> None:
    """Send this process a signal just before the first rename to a name."""
    sent = False

    def watch(event: str, values: tuple[Any, ...]) -> None:
        nonlocal sent
        if event == "os.rename" and os.path.basename(str(values[1])) == name and not sent:
            sent = True
            os.kill(os.getpid(), number)

    sys.addaudithook(watch)


def _changes(event: str, values: tuple[Any, ...], folder: str) -> bool:
    if event == "open":
        writes = bool(values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return writes and str(values[0]).startswith(folder)
    if event in ("os.remove", "os.rmdir") and not os.path.isabs(str(values[0])):
        # A folder that is removed with all in it.
        return True
    known = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir")
    return known and str(values[0]).startswith(folder)


def _child(words: Sequence[str], prepare: Prepare, env: Mapping[str, str], write: int) -> None:
    code = 1
    try:
        os.dup2(write, 1)
        os.dup2(write, 2)
        sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        faulthandler.register(signal.SIGUSR1, file=1, all_threads=True)
        os.environ.update(env)
        code = _run(words, prepare)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        # Not the parent's handlers, nor its temporary folders.
        os._exit(code)


def _run(words: Sequence[str], prepare: Prepare) -> int:
    import torch

    import glo.cli.app
    import glo.cli.train

    torch.set_num_threads(1)
    # The page is written after the run is whole, and takes longer than the run does here.
    glo.cli.train._report = lambda session: None
    at_the_end = prepare()
    code = glo.cli.app.run(words)
    if at_the_end is not None:
        at_the_end()
    return code


def count_changes(folder: Path) -> Callable[[], None]:
    """Count the file changes below a folder, and print the number at the end."""
    count = itertools.count()
    _watch_changes(folder, lambda: next(count))
    return lambda: print(f"changes: {next(count)}")


def import_modules() -> None:
    """Import all modules of a run once, before forking."""
    for name in _ON_THE_WAY:
        importlib.import_module(name)
