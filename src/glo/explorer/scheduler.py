"""Scheduling of the page's threads: a lane for interactive work, a lane for background work.

Each lane runs one piece of work at a time with half of the cores (`serve` sets the number of
threads). Measured on two cores, a decode beside background work took 10 to 18 ms this way, and
111 ms where both lanes shared one lock and all cores.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, final

import torch
from torch import Tensor

from glo.decoders import Decoder

P = ParamSpec("P")
Instance = TypeVar("Instance")
Result = TypeVar("Result")

# Rows decoded in one turn of the background lane; others on the lane wait for so long.
_BLOCK = 16


class Closed(Exception):
    """The page is closing, so background work ends."""


@final
class _Lane:
    """Fair lock: turns are granted in the order of the requests."""

    def __init__(self) -> None:
        # A `threading.Lock` may be reacquired again and again by the thread that released it.
        self._changed = threading.Condition()
        self._requested, self._served = 0, 0
        self._closed = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._changed:
            ticket = self._requested
            self._requested += 1
            self._changed.wait_for(lambda: self._closed or self._served == ticket)
            if self._closed:
                raise Closed
        try:
            yield
        finally:
            with self._changed:
                self._served += 1
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@final
class Scheduler:
    """Two lanes of work; background work releases its lane often, so that several proceed."""

    def __init__(self) -> None:
        self._interactive, self._background = _Lane(), _Lane()

    def interactive(self) -> AbstractContextManager[None]:
        """Return the context of one short piece of work that a person waits for."""
        return self._interactive.turn()

    def background(self) -> AbstractContextManager[None]:
        """Return the context of one piece of long work; entering raises `Closed` after `close`."""
        return self._background.turn()

    def close(self) -> None:
        """End all background work at its next turn."""
        self._background.close()


@final
class YieldingDecoder(Decoder):
    """Decoder for background work: each block of rows takes a turn of the background lane.

    Example:
        >>> from glo.decoders import MLP
        >>> decoder = MLP(code_dim=2, shape=(3,), hidden=(4,)).eval()
        >>> yielding, codes = YieldingDecoder(decoder, Scheduler()), torch.zeros(40, 2)
        >>> torch.allclose(yielding(codes), decoder(codes))
        True
    """

    name = "yielding"

    def __init__(self, decoder: Decoder, scheduler: Scheduler) -> None:
        super().__init__(code_dim=decoder.code_dim, shape=decoder.shape)
        self.decoder, self._scheduler = decoder, scheduler
        self.train(decoder.training)

    def forward(self, codes: Tensor) -> Tensor:
        """Decode a batch of codes, (B, D), block by block."""
        parts = []
        for part in codes.split(_BLOCK):
            with self._scheduler.background():
                parts.append(self.decoder(part))
        return torch.cat(parts)


def compute_once(
    method: Callable[Concatenate[Instance, P], Result],
) -> Callable[Concatenate[Instance, P], Result]:
    """Cache the results of a method by instance and hashable positional arguments.

    Concurrent calls with the same arguments wait for one computation; calls with other arguments
    run beside it. An exception is not cached.
    """

    @wraps(method)
    def cached(self: Instance, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        results, locks = vars(self).setdefault(f"_{method.__name__}_once", ({}, {}))
        with locks.setdefault(args, threading.Lock()):
            if args not in results:
                results[args] = method(self, *args, **kwargs)
            result: Result = results[args]
            return result

    return cached
