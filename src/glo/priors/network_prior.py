"""Base class and training loop of the priors whose map from noise to codes is a network."""

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from glo.priors.base import Prior, check_codes
from glo.priors.early_stopping import EarlyStopping
from glo.priors.whitening import Whitening
from glo.training.optim import ChainedOptimizer
from glo.training.schedule import cosine
from glo.utils.torch_defaults import with_torch_defaults

__all__ = [
    "NetworkPrior",
    "average_weights",
    "make_generator",
    "random_batches",
    "seeded",
    "split_heldout",
    "train_network",
]

_PREFIX = "network."


@dataclass(kw_only=True, eq=False)
class NetworkPrior(Prior):
    """A prior that maps noise to whitened codes by a network.

    Attributes:
        whitening_: whitening whose inverse maps outputs of the network to codes, None before
            fitting.
        network_: fitted network without gradients, None before fitting.
    """

    whitening_: Whitening | None = field(default=None, init=False, repr=False)
    network_: Any = field(default=None, init=False, repr=False)

    @abstractmethod
    def build_network(self, dim: int) -> nn.Module:
        """Return an untrained network for codes of `dim` numbers."""

    @abstractmethod
    def train(
        self, network: Any, white: Tensor, seed: int, generator: torch.Generator
    ) -> Generator[float, None, nn.Module]:
        """Train the network on whitened codes, yielding the fraction of the steps done.

        Args:
            network: network from `build_network`, changed in place.
            white: whitened codes, float32 (N, D).
            seed: seed of the fit.
            generator: generator of batches and noise.

        Returns:
            network with the weights to store.
        """

    @with_torch_defaults
    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Fit the network to `codes`, (N, D), yielding the fraction of the steps done."""
        rows, generator = check_codes(codes), make_generator(seed)
        whitening = Whitening.fit(rows)
        with seeded(seed):
            network = self.build_network(rows.shape[1])
        best = yield from self.train(network, whitening.forward(rows).float(), seed, generator)
        self.whitening_, self.network_ = self.coloring(whitening), best.requires_grad_(False)
        yield 1.0

    def coloring(self, whitening: Whitening) -> Whitening:
        """Return the whitening whose inverse maps outputs of the fitted network to codes.

        Args:
            whitening: that of the codes.
        """
        return whitening

    @property
    def noise_dim(self) -> int:
        """D."""
        return len(self._fitted(self.whitening_).mean)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's weights, and mean and factor of the whitening."""
        whitening = self._fitted(self.whitening_)
        weights = {_PREFIX + name: tensor for name, tensor in self.network_.state_dict().items()}
        return whitening.state_dict() | weights

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Set the tensors to those of `state_dict`, and return the prior itself."""
        self.whitening_ = Whitening.from_state_dict(state)
        with seeded(0):
            network = self.build_network(len(self.whitening_.mean))
        network.load_state_dict(
            {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
        )
        self.network_ = network.requires_grad_(False)
        return self


def train_network(
    network: nn.Module,
    optimizer: Optimizer | ChainedOptimizer,
    step_losses: Callable[[], Iterable[Tensor]],
    *,
    steps: int,
    lr: float,
    ema_decay: float,
    warmup: int = 1,
    max_norm: float | None = None,
    checks: int | None = None,
    heldout_loss: Callable[[Any], float] | None = None,
) -> Generator[float, None, nn.Module]:
    """Minimize losses with a cosine schedule, averaging the weights and stopping early.

    Args:
        network: network to train, changed in place.
        optimizer: optimizer of its parameters.
        step_losses: losses of one step of the schedule, each followed by an update; evaluated
            lazily, so that a later loss is that of the updated weights.
        steps: steps of the schedule.
        lr: peak learning rate.
        ema_decay: decay of the averaged weights per update, 0 to 1.
        warmup: steps of linear warm-up.
        max_norm: bound of the gradient norm; None: unbounded.
        checks: number of checks of the held-out loss; None: one per step.
        heldout_loss: loss of averaged weights by which the best are selected; None: the last ones.

    Yields:
        fraction of the steps done at each check, below 1.

    Returns:
        averaged weights, with the lowest held-out loss if there is one.
    """
    average = average_weights(network, ema_decay)
    stopping = EarlyStopping(network)
    interval = 1 if checks is None else -(-steps // checks)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / warmup) * cosine(step, steps)
        for loss in step_losses():
            optimizer.zero_grad()
            loss.backward()
            if max_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), max_norm)
            optimizer.step()
            average.update_parameters(network)
        last = step + 1 == steps
        if (step + 1) % interval and not last:
            continue
        if heldout_loss and stopping.update(average.module, heldout_loss(average.module)):
            break
        if not last:
            yield (step + 1) / steps
    return stopping.best if heldout_loss else average.module


def average_weights(network: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of weights: a <- d a + (1 - d) w at each update.

    d = min(decay, (1 + t) / (10 + t)) after t updates, so that the random first weights decay fast.
    """

    def update(average: Tensor, weight: Tensor, updates: Tensor | int) -> Tensor:
        t = float(updates)
        return average.lerp(weight, 1 - min(decay, (1 + t) / (10 + t)))

    return AveragedModel(network, avg_fn=update)


def random_batches(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of rows without end, each row at most once per pass, (min(size, n),) int64."""
    size = min(size, n)
    order = torch.empty(0, dtype=torch.int64)
    while True:
        if len(order) < size:
            order = torch.randperm(n, generator=generator)
        yield order[:size]
        order = order[size:]


def split_heldout(rows: Tensor, max_rows: int) -> tuple[Tensor, Tensor]:
    """Return held-out rows, a tenth of `rows` or `max_rows`, and the others; of few rows, all."""
    n = min(len(rows) // 10, max_rows)
    return (rows[:n], rows[n:]) if n else (rows, rows)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator for the initial weights, and restore it afterwards.

    A generator function must not yield inside: its caller would draw from the seeded generator.

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


def make_generator(seed: int) -> torch.Generator:
    """Return a seeded generator for batches and noise."""
    return torch.Generator().manual_seed(seed % 2**63)
