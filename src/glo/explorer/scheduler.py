"""Whose turn it is to compute, so that the page answers at once while a search goes on.

There are two lanes, one for what a person waits for and one for long work, and each has half of the
cores (`serve` sees to that). Measured on two cores, a decode beside long work took 10 to 18 ms this
way, and 111 ms where both took turns with both cores: a decode then waits for a block of the other,
and their threads for one another.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import final

import torch
from torch import Tensor

from glo.decoders import Decoder

__all__ = ["Closed", "Scheduler", "YieldingDecoder"]

# Decoded in one turn: so long others on the lane may have to wait.
_BLOCK = 16


class Closed(Exception):
    """The page is being closed, so long work ends here."""


@final
class _Lane:
    """Work that is done one at a time, in the order in which it was asked for."""

    def __init__(self) -> None:
        # A plain lock would go again and again to whoever gave it back just now.
        self._moved = threading.Condition()
        self._asked, self._served = 0, 0
        self._closed = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._moved:
            own = self._asked
            self._asked += 1
            self._moved.wait_for(lambda: self._closed or self._served == own)
            if self._closed:
                raise Closed
        try:
            yield
        finally:
            with self._moved:
                self._served += 1
                self._moved.notify_all()

    def close(self) -> None:
        with self._moved:
            self._closed = True
            self._moved.notify_all()


@final
class Scheduler:
    """Two lanes of work; long work gives its lane back often, so that several get on together.

    Example:
        >>> turns = Scheduler()
        >>> with turns.later(), turns.soon():
        ...     print("both")
        both
    """

    def __init__(self) -> None:
        self._soon, self._later = _Lane(), _Lane()

    def soon(self) -> AbstractContextManager[None]:
        """Take a turn for something short that a person waits for."""
        return self._soon.turn()

    def later(self) -> AbstractContextManager[None]:
        """Take a turn for a piece of long work; it raises `Closed` once there are no more."""
        return self._later.turn()

    def close(self) -> None:
        """End all long work at its next turn."""
        self._later.close()


@final
class YieldingDecoder(Decoder):
    """A decoder that waits for its turn, some rows at a time: for long work in the background.

    Args:
        decoder: the network.
        turns: that it waits for.

    Example:
        >>> from glo.decoders import MLP
        >>> decoder = MLP(code_dim=2, shape=(3,), hidden=(4,)).eval()
        >>> patient, codes = YieldingDecoder(decoder, Scheduler()), torch.zeros(40, 2)
        >>> torch.allclose(patient(codes), decoder(codes))
        True
    """

    name = "patient"

    def __init__(self, decoder: Decoder, turns: Scheduler) -> None:
        super().__init__(code_dim=decoder.code_dim, shape=decoder.shape)
        self.decoder, self._turns = decoder, turns
        self.train(decoder.training)

    def forward(self, codes: Tensor) -> Tensor:
        """Decode a batch, (B, D), one block after another."""
        parts = []
        for part in codes.split(_BLOCK):
            with self._turns.later():
                parts.append(self.decoder(part))
        return torch.cat(parts)
