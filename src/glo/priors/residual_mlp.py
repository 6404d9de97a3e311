"""What priors that are networks share: the residual network, its averaged weights, its steps."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TypeVar, final

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = [
    "ResidualMLP",
    "averaged",
    "batches",
    "cosine",
    "early_stopping",
    "private_generator",
    "seeded",
]

# Learning ends when this many trials in a row have not lowered the held-out loss.
_PATIENCE = 4
Trial = TypeVar("Trial", bound=nn.Module)


@final
class ResidualMLP(nn.Module):
    """A residual network on vectors: h <- h + W2 silu(W1 norm(h)), `blocks` times.

    Args:
        inputs: length of what goes in.
        outputs: length of what comes out.
        width: length of h, and of the hidden layer of a block.
        blocks: how many.

    Example:
        >>> ResidualMLP(3, 2, width=8, blocks=1)(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(self, inputs: int, outputs: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(blocks))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def forward(self, rows: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        hidden = self.first(rows)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        out: Tensor = self.last(hidden)
        return out


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the first weights of networks from `seed`, and leave torch's generator as it was.

    Nothing may be yielded to a caller from inside, or the caller would see that generator.

    Example:
        >>> before = torch.get_rng_state()
        >>> with seeded(3):
        ...     layer = nn.Linear(2, 2)
        >>> torch.equal(before, torch.get_rng_state())
        True
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed % 2**63)
        yield


def private_generator(seed: int) -> torch.Generator:
    """Return a generator of one's own, for batches and noise."""
    return torch.Generator().manual_seed(seed % 2**63)


def batches(n: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield `steps` batches of row numbers, each row once per pass, (min(size, n),) int64.

    Example:
        >>> [len(rows) for rows in batches(5, 2, 3, private_generator(0))]
        [2, 2, 2]
    """
    size = min(size, n)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(n, generator=generator)
        yield order[:size]
        order = order[size:]


def cosine(step: int, steps: int) -> float:
    """Return the factor of the rate at `step` = 0, ..., `steps` - 1: from 1 down to near 0.

    Example:
        >>> cosine(0, 100), round(cosine(50, 100), 3)
        (1.0, 0.5)
    """
    return (1 + math.cos(math.pi * step / steps)) / 2


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Return a copy whose weights follow those of `network`: a <- d a + (1 - d) w at each update.

    d = min(decay, (1 + t) / (10 + t)) after t updates, so that the first weights, which mean
    nothing, are soon forgotten.
    """

    def follow(average: Tensor, weight: Tensor, updates: Tensor | int) -> Tensor:
        t = float(updates)
        return average.lerp(weight, 1 - min(decay, (1 + t) / (10 + t)))

    return AveragedModel(network, avg_fn=follow)


def early_stopping(
    network: Trial, trials: Iterator[tuple[float, Trial]], loss_of: Callable[[Trial], float]
) -> Generator[float, None, Trial]:
    """Return the trial with the lowest loss, and stop after four without gain.

    Args:
        network: what is returned where no trial has a loss.
        trials: pairs of the share of the learning that is done and the network as it is then, which
            may change later; the last share is 1.
        loss_of: loss on held-out codes.

    Yields:
        the shares below 1.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> list(early_stopping(layer, iter([(0.5, layer), (1.0, layer)]), lambda trial: 0.0))
        [0.5]
    """
    best, lowest, idle = network, math.inf, 0
    for share, trial in trials:
        loss = loss_of(trial)
        idle = 0 if loss < lowest else idle + 1
        if idle == 0:
            best, lowest = deepcopy(trial), loss
        if idle == _PATIENCE or share == 1.0:
            break
        yield share
    return best
