"""Flow matching: a velocity field from a mixture of Gaussians to the codes."""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Self, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from glo.errors import UserError
from glo.latents.neighbours import nearest
from glo.priors.base import check_positive
from glo.priors.base_distribution import BaseDistribution
from glo.priors.network_prior import NetworkPrior, make_generator, split_heldout, train_network
from glo.priors.whitening import Whitening
from glo.training.optim import ChainedOptimizer, MatrixMuon
from glo.utils.device import autocast
from glo.utils.random import normal

__all__ = ["FlowMatchingPrior", "VelocityNetwork", "matching_loss"]

# A batch has this many times, each shared by a group of codes: the part of the network that depends
# on the time alone is computed once per group.
_TIMES = 64
_EMA_DECAY = 0.999
_WARMUP_STEPS = 100
_MAX_HELDOUT, _CHECKS, _HELDOUT_TIMES = 2000, 20, 8
# More codes than the updates use do not improve the field.
_MAX_ROWS = 1_000_000
# Spreads of x_0 that are compared when samples are calibrated; smaller ones gain precision at the
# cost of recall. The number of codes that the samples are compared with: the more, the finer the
# blur that is detected. Samples for each direction, which their covariance is estimated from.
_SPREADS, _MAX_REFERENCE_ROWS, _ROWS_PER_DIM = (0.8, 0.85, 0.9, 0.95, 1.0), 200_000, 256
_FREQUENCIES, _MAX_FREQUENCY = 32, 100.0
_CPU = torch.device("cpu")


@final
@dataclass(kw_only=True, eq=False)
class FlowMatchingPrior(NetworkPrior):
    """Fit a velocity field v(x, t) that carries x_0, from a coarse mixture, to codes x_1.

    With x_t = (1 - t) x_0 + t x_1 the field minimizes

        E |v(x_t, t) - (x_1 - x_0)|^2

    and a sample is the solution at t = 1 of dx/dt = v(x, t) from a draw of x_0. x_0 comes from a
    mixture of Gaussians fitted to the codes, in training from the component to which x_1 belongs:
    the mixture is already close to the codes, so paths are short and rarely cross. Some codes are
    held out, and the averaged weights with the lowest loss on them are the result.

    A field blurs details that it does not resolve, so its samples lie too far from the codes. A
    smaller spread of x_0 brings them closer, and they lose variance, which an affine map restores:
    mean and covariance of the samples become those of the codes. The spread is the one at which
    samples are as near to their nearest codes as held-out codes are, from 0.8 to 1.

    Args:
        constraint: constraint of the codes.
        steps: updates of the field, at most; fewer when the held-out loss no longer falls.
        batch_size: codes per update, a multiple of 64.
        lr: peak learning rate.
        width: width of the network.
        blocks: residual blocks of the network.
        components: components of the mixture; None: one per 200 codes, at most 256.
        integration: steps of Heun's method from x_0 to x_1, of two evaluations each.

    Raises:
        UserError: a number is not positive, or batch_size is no multiple of 64.

    Reference:
        Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023, equation 14, with
        straight paths. Tong et al., "Improving and generalizing flow-based generative models with
        minibatch optimal transport", TMLR 2024: coupled ends.

    Example:
        >>> codes = torch.linspace(-1, 1, 400)[:, None] ** 3
        >>> prior = FlowMatchingPrior(steps=20, batch_size=64, width=16, blocks=1).fit(codes)
        >>> prior.sample(5).shape
        torch.Size([5, 1])
    """

    name: ClassVar[str] = "flow-matching"
    steps: int = 1000
    batch_size: int = 1024
    lr: float = 2e-3
    width: int = 384
    blocks: int = 3
    components: int | None = None
    integration: int = 8
    base_: BaseDistribution | None = field(default=None, init=False, repr=False)
    spread_: Tensor = field(
        default_factory=lambda: torch.ones((), dtype=torch.float64), init=False, repr=False
    )
    _moments: Whitening | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive(self, "steps", "batch_size", "lr", "width", "blocks", "integration")
        if self.components is not None:
            check_positive(self, "components")
        if self.batch_size % _TIMES:
            raise UserError(f"batch_size is {self.batch_size}; it must be a multiple of {_TIMES}.")

    def train(
        self, network: "VelocityNetwork", white: Tensor, seed: int, generator: torch.Generator
    ) -> Generator[float, None, nn.Module]:
        """Fit the mixture, then the field, to whitened codes, (N, D)."""
        white = white[torch.randperm(len(white), generator=generator)[:_MAX_ROWS]]
        base = BaseDistribution.fit(white, components=self.components, seed=seed)
        heldout, training = split_heldout(white, _MAX_HELDOUT)
        which, weights = base.posterior(training)

        def losses() -> Iterator[Tensor]:
            chosen = torch.randint(len(training), (self.batch_size,), generator=generator)
            starts = base.sample_coupled(which[chosen], weights[chosen], generator)
            # One time from each of as many equal parts of [0, 1].
            jitter = torch.rand(_TIMES, generator=generator)
            times = (torch.arange(_TIMES) + jitter) / _TIMES
            yield matching_loss(network, starts, training[chosen], times)

        # The same pairs and times in every check.
        ends = heldout.repeat(_HELDOUT_TIMES, 1)
        starts = base.sample_coupled(*base.posterior(ends), make_generator(seed + 1))
        times = (torch.arange(_HELDOUT_TIMES) + 0.5) / _HELDOUT_TIMES

        @torch.no_grad()
        def heldout_loss(trial: VelocityNetwork) -> float:
            return float(matching_loss(trial, starts, ends, times))

        best = yield from train_network(
            network,
            _optimizer(network, self.lr),
            losses,
            steps=self.steps,
            lr=self.lr,
            warmup=_WARMUP_STEPS,
            ema_decay=_EMA_DECAY,
            checks=_CHECKS,
            heldout_loss=heldout_loss,
        )
        self.base_, self.network_ = base, best
        self.spread_, self._moments = torch.ones((), dtype=torch.float64), None
        if heldout is not training:
            self._calibrate(heldout, training[:_MAX_REFERENCE_ROWS], seed)
        return best

    @torch.no_grad()
    def _calibrate(self, heldout: Tensor, training: Tensor, seed: int) -> None:
        """Choose the spread at which samples are as near to codes as held-out codes are.

        The samples of each spread are whitened first, as the codes are.
        """
        n = max(len(heldout), _ROWS_PER_DIM * heldout.shape[1])
        noise = normal(seed, 0, n, self.noise_dim, stream="samples")
        medians = []
        for spread in _SPREADS:
            samples = self._integrate(noise, spread).double()
            white = Whitening.fit(samples).forward(samples)[: len(heldout)].float()
            medians.append(float(nearest(white, training)[0].median()))
        target = float(nearest(heldout, training)[0].median())
        self.spread_ = torch.tensor(np.interp(target, medians, _SPREADS), dtype=torch.float64)
        samples = self._integrate(noise, float(self.spread_)).double()
        self._moments = Whitening.fit(samples)

    def coloring(self, whitening: Whitening) -> Whitening:
        """Return the map from samples of the field to codes, which has the codes' moments."""
        return whitening if self._moments is None else self._moments.then_inverse(whitening)

    @property
    def noise_dim(self) -> int:
        """D + 1: the last number selects the component of the mixture."""
        return self._fitted(self.base_).mixture.noise_dim

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Return the solution at time 1 from a draw of the mixture at time 0, float32 (B, D).

        Heun's method: x <- x + h (v(x, t) + v(x + h v(x, t), t + h)) / 2.
        """
        whitening = self._fitted(self.whitening_)
        return whitening.inverse(self._integrate(noise, temperature * float(self.spread_))).float()

    def _integrate(self, noise: Tensor, spread: float) -> Tensor:
        """Return whitened samples, float32 (B, D)."""
        mixture, velocity = self._fitted(self.base_).mixture, self.network_
        points = mixture.from_noise(noise, temperature=spread).unsqueeze(0)
        h = 1 / self.integration
        for step in range(self.integration):
            first = velocity(points, torch.tensor([step * h]))
            second = velocity(points + h * first, torch.tensor([(step + 1) * h]))
            points = points + h * (first + second) / 2
        return points.squeeze(0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mixture, the spread, the field's weights, and the whitening."""
        base = self._fitted(self.base_)
        return super().state_dict() | base.state_dict() | {"spread": self.spread_}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Set the tensors to those of `state_dict`, and return the prior itself."""
        self.base_ = BaseDistribution.from_state_dict(state)
        self.spread_ = state["spread"]
        return super().load_state_dict(state)

    def build_network(self, dim: int) -> "VelocityNetwork":
        """Return the zero field."""
        return VelocityNetwork(dim, width=self.width, blocks=self.blocks)


@final
class VelocityNetwork(nn.Module):
    """Velocity v(x, t): a residual network on points, conditioned on the time in every block.

    A block is h <- h + W2 silu(W1 (norm(h) (1 + s(t)) + b(t))). W2 and the last layer are zero at
    first, and so is the field.

    Args:
        dim: D, length of a point.
        width: length of h.
        blocks: number of blocks.

    Example:
        >>> network = VelocityNetwork(3, width=8, blocks=1)
        >>> network(torch.zeros(2, 5, 3), torch.tensor([0.0, 0.5])).shape
        torch.Size([2, 5, 3])
    """

    frequencies: Tensor

    def __init__(self, dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.width = width
        frequencies = torch.linspace(0, math.log(_MAX_FREQUENCY), _FREQUENCIES).exp()
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.time = nn.Linear(2 * _FREQUENCIES, width)
        self.first = nn.Linear(dim, width)
        self.scales = nn.ModuleList(_zero(nn.Linear(width, 2 * width)) for _ in range(blocks))
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.outer = nn.ModuleList(_zero(nn.Linear(width, width)) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.last = _zero(nn.Linear(width, dim))

    def forward(self, points: Tensor, times: Tensor) -> Tensor:
        """Return the velocity of `points`, (T, G, D), group i at time `times[i]`, (T,)."""
        angles = 2 * times[:, None] * self.frequencies
        embedding = functional.silu(self.time(torch.cat([angles.cos(), angles.sin()], 1)))
        hidden = self.first(points)
        for scales, inner, outer in zip(self.scales, self.inner, self.outer, strict=True):
            scale, shift = scales(embedding).unsqueeze(1).chunk(2, 2)
            ready = functional.layer_norm(hidden, (self.width,)) * (1 + scale) + shift
            hidden = hidden + outer(functional.silu(inner(ready)))
        out: Tensor = self.last(self.norm(hidden))
        return out


def matching_loss(field: VelocityNetwork, starts: Tensor, ends: Tensor, times: Tensor) -> Tensor:
    """Return the mean of (v(x_t, t) - (x_1 - x_0))^2, a scalar.

    Args:
        field: velocity field v.
        starts: x_0, (T G, D).
        ends: x_1, (T G, D).
        times: (T,), from 0 to 1; each is shared by a group of G rows.
    """
    starts, ends = (rows.view(len(times), -1, rows.shape[1]) for rows in (starts, ends))
    points = torch.lerp(starts, ends, times[:, None, None])
    with autocast(_CPU, "auto"):
        velocity = field(points, times)
    loss: Tensor = (velocity.float() - (ends - starts)).square().mean()
    return loss


def _optimizer(network: VelocityNetwork, lr: float) -> ChainedOptimizer:
    # Muon for the square matrices in the blocks, as for the decoder: it needs fewer updates.
    matrices = [layer.weight for layer in (*network.inner, *network.outer)]
    identities = {id(weight) for weight in matrices}
    others = [weight for weight in network.parameters() if id(weight) not in identities]
    return ChainedOptimizer(
        [
            MatrixMuon(matrices, lr=lr),
            Adam(others, lr=lr, betas=(0.9, 0.99), fused=True),
        ]
    )


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
