"""Early stopping on the loss of held-out codes."""

import math
from copy import deepcopy
from typing import Generic, TypeVar, final

from torch import nn

__all__ = ["EarlyStopping"]

Network = TypeVar("Network", bound=nn.Module)


@final
class EarlyStopping(Generic[Network]):
    """Store the weights with the lowest held-out loss, and end training without improvement.

    Args:
        network: value of `best` while no loss is finite.
        patience: checks in a row without improvement after which training ends.

    Attributes:
        best: network with the lowest loss, a copy.

    Example:
        >>> stopping = EarlyStopping(nn.Linear(1, 1), patience=2)
        >>> [stopping.update(stopping.best, loss) for loss in (2.0, 1.0, 3.0, 1.0)]
        [False, False, False, True]
    """

    def __init__(self, network: Network, *, patience: int = 4) -> None:
        self.best = network
        self._patience = patience
        self._lowest = math.inf
        self._checks_without_gain = 0

    def update(self, network: Network, loss: float) -> bool:
        """Compare a network, which may change later, and return whether training should end."""
        if loss < self._lowest:
            self.best, self._lowest, self._checks_without_gain = deepcopy(network), loss, 0
        else:
            self._checks_without_gain += 1
        return self._checks_without_gain == self._patience
