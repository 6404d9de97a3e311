"""Several processes that train one run, forked as `torchrun` would start them."""

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.sitting import Ended, Prepare, Sitting, nothing

__all__ = ["send_when_met", "sit_together", "start_together"]


def start_together(
    words: Sequence[str], size: int, prepares: Sequence[Prepare] = ()
) -> list[Sitting]:
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
        Sitting(
            words,
            prepares[rank] if prepares else nothing,
            shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]


def sit_together(words: Sequence[str], size: int, prepares: Sequence[Prepare] = ()) -> list[Ended]:
    """Run the processes of a run to their ends, by rank."""
    return [sitting.end() for sitting in start_together(words, size, prepares)]


def send_when_met(sitting: Sitting, out: Path, delay: float, number: int) -> None:
    """Send one of the processes of a run a signal, some seconds after all have met.

    Before that the others wait for the one that is missing, which is torchrun's to notice.
    """
    while not (out / "metrics.jsonl").exists():
        if sitting.read_until(time.perf_counter() + 0.01):
            return
    if not sitting.read_until(time.perf_counter() + delay):
        sitting.send(number)
