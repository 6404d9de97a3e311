"""Several forked processes of one run, with the environment of `torchrun`."""

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.forked_run import ForkedRun, Outcome, Prepare, nothing

__all__ = ["run_together", "signal_after_start", "start_together"]


def start_together(
    words: Sequence[str], size: int, prepares: Sequence[Prepare] = ()
) -> list[ForkedRun]:
    """Start the processes of a run.

    Args:
        words: of the command line.
        size: how many processes.
        prepares: what each of them does before the program; nothing if there are none.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
    shared["LOCAL_WORLD_SIZE"] = str(size)
    return [
        ForkedRun(
            words,
            prepares[rank] if prepares else nothing,
            shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]


def run_together(
    words: Sequence[str], size: int, prepares: Sequence[Prepare] = ()
) -> list[Outcome]:
    """Run the processes of a run until they exit, by rank."""
    return [process.end() for process in start_together(words, size, prepares)]


def signal_after_start(process: ForkedRun, out: Path, delay: float, number: int) -> None:
    """Send one of the processes of a run a signal, some seconds after initialization.

    Before that the others wait for the one that is missing, which is torchrun's to notice.
    """
    while not (out / "metrics.jsonl").exists():
        if process.read_until(time.perf_counter() + 0.01):
            return
    if not process.read_until(time.perf_counter() + delay):
        process.send(number)
