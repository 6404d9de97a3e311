"""Budget in CPU seconds of one process with one thread.

On a shared machine wall-clock seconds depend on its load; CPU seconds measure the work of a method.
They still grow a little when other programs use caches and memory bandwidth.
"""

import time
from contextlib import AbstractContextManager
from typing import Any, final

import torch
from threadpoolctl import threadpool_limits

from glo.decoders import DCGAN
from glo.utils.device import autocast, channels_last
from glo.utils.malloc import tune_malloc

__all__ = ["Stopwatch", "one_thread", "pace"]


def one_thread() -> AbstractContextManager[Any]:
    """Limit torch, and within the returned context NumPy and scikit-learn too, to one thread."""
    torch.set_num_threads(1)
    # A mixture's responsibilities are mostly denormal numbers, which make it twice as slow.
    torch.set_flush_denormal(True)
    tune_malloc()
    return threadpool_limits(1)


@final
class Stopwatch:
    """Stopwatch of CPU and wall seconds.

    Args:
        spent: CPU seconds that count as used already.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self._cpu = time.process_time() - spent
        self._wall = time.perf_counter()

    @property
    def cpu(self) -> float:
        """CPU seconds of this process."""
        return time.process_time() - self._cpu

    @property
    def wall(self) -> float:
        """Wall-clock seconds."""
        return time.perf_counter() - self._wall

    def share(self, seconds: float) -> float:
        """Return the used fraction of a budget of CPU seconds, at most 1."""
        return min(1.0, self.cpu / seconds) if seconds > 0 else 1.0

    def read(self) -> dict[str, float]:
        """Return both readings, rounded, for a result file."""
        return {"cpu": round(self.cpu, 2), "wall": round(self.wall, 2)}


def pace(steps: int = 5) -> float:
    """Return the current CPU milliseconds of a bare step of the decoder.

    Measured before and after every method, so that the reader sees whether the machine was as fast
    for one as for another.

    Args:
        steps: forward and backward passes, of which the fastest counts.
    """
    cpu = torch.device("cpu")
    decoder = channels_last(DCGAN(code_dim=32))
    codes = torch.randn(128, 32)
    seconds = []
    for _ in range(steps):
        watch = Stopwatch()
        with autocast(cpu, "auto"):
            images = decoder(codes)
        images.square().mean().backward()
        seconds.append(watch.cpu)
    return round(1e3 * min(seconds), 1)
