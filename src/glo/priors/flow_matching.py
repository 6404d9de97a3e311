"""Flow matching: a field that carries a mixture of Gaussians to the codes."""

from collections.abc import Iterator
from typing import ClassVar, Self, final

import numpy as np
import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint
from glo.priors.base import Prior, check_codes
from glo.priors.base_distribution import BaseDistribution
from glo.priors.flow_matching_loss import Judge, field_optimizer, gaps, matching_loss
from glo.priors.residual_mlp import averaged, cosine, early_stopping, private_generator, seeded
from glo.priors.velocity import VelocityNetwork
from glo.priors.whitening import Whitening
from glo.utils.random import normal

__all__ = ["FlowMatchingPrior"]

# A batch is so many times with so many codes each: what the network computes of the time alone is
# then shared by a group.
_TIMES = 64
_DECAY = 0.999
_WARM = 100
_HELD_ROWS, _CHECKS = 2000, 20
# More codes than a field sees in its updates teach it nothing.
_ROWS = 1_000_000
# The spread of x_0 that is tried to make samples as near to codes as held-out codes are, and how
# many codes they are compared with: the more, the finer the blur that is seen.
_SPREADS, _NEIGHBOURS = (0.75, 0.8, 0.85, 0.9, 0.95, 1.0), 200_000


@final
class FlowMatchingPrior(Prior):
    """Learn a velocity field v(x, t) that carries x_0, from a coarse mixture, to codes x_1.

    With x_t = (1 - t) x_0 + t x_1 the field minimises

        E |v(x_t, t) - (x_1 - x_0)|^2

    and a sample is where dx/dt = v(x, t) takes a draw of x_0 in the time from 0 to 1. x_0 comes
    from a mixture of Gaussians fitted to the codes, and in learning from the component to which x_1
    belongs: the mixture is already near, so paths are short and cross little. A part of the codes
    is held out, and the averaged weights that explain it best are kept. A field blurs what it does
    not resolve, so its samples lie too far out; the spread of x_0 is therefore lowered until
    samples are as near to their nearest codes as held-out codes are.

    Args:
        constraint: what held for the codes.
        steps: updates of the field; learning ends earlier once held-out codes stop gaining.
        batch_size: codes in an update, a multiple of 64.
        lr: largest rate.
        width: of the network.
        blocks: of the network.
        components: of the mixture, or None: one for every 200 codes, at most 256.
        integration: steps of Heun's method from x_0 to x_1; each asks the field twice.

    Raises:
        UserError: a number is not positive, or it samples before fitting.

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

    def __init__(
        self,
        *,
        constraint: Constraint = "free",
        steps: int = 1000,
        batch_size: int = 4096,
        lr: float = 2e-3,
        width: int = 512,
        blocks: int = 3,
        components: int | None = None,
        integration: int = 8,
    ) -> None:
        super().__init__(constraint=constraint)
        sizes = (steps, batch_size, width, blocks, integration, components or 1)
        if min(sizes) < 1 or not lr > 0 or batch_size % _TIMES:
            raise UserError(
                f"steps is {steps}, batch_size {batch_size}, lr {lr:g}, width {width}, blocks "
                f"{blocks}, components {components} and integration {integration}; all must be "
                f"above 0, and batch_size a multiple of {_TIMES}."
            )
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.width = width
        self.blocks = blocks
        self.components = components
        self.integration = integration
        self.whiten_: Whitening | None = None
        self.origin_: BaseDistribution | None = None
        self.field_: VelocityNetwork | None = None
        self.spread_ = torch.ones((), dtype=torch.float64)

    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Learn where the field begins, then the field, from `codes`, (N, D)."""
        rows, generator = check_codes(codes), private_generator(seed)
        whiten = Whitening.fit(rows)
        order = torch.randperm(len(rows), generator=generator)[:_ROWS]
        ready = whiten.forward(rows[order]).float()
        origin = BaseDistribution.fit(ready, components=self.components, seed=seed)
        with seeded(seed):
            field = VelocityNetwork(ready.shape[1], width=self.width, blocks=self.blocks)
        held = min(len(ready) // 10, _HELD_ROWS)
        unseen, ready = (ready[:held], ready[held:]) if held else (ready, ready)
        judge = Judge(unseen, origin, seed)
        trials = self._train(field, ready, origin, generator)
        best = yield from early_stopping(field, trials, judge)
        self.whiten_, self.origin_ = whiten, origin
        self.field_ = best.requires_grad_(False).eval()
        if held:
            self._calibrate(unseen, ready[:_NEIGHBOURS], seed)
        yield 1.0

    @torch.no_grad()
    def _calibrate(self, unseen: Tensor, seen: Tensor, seed: int) -> None:
        """Shrink the spread until samples lie as near to codes as held-out codes do.

        What a field does not resolve it blurs, so its samples lie a little too far out.
        """
        noise = normal(seed, 0, len(unseen), self.noise_dim, stream="samples")
        measured = [float(gaps(self._carry(noise, spread), seen).median()) for spread in _SPREADS]
        spread = float(np.interp(float(gaps(unseen, seen).median()), measured, _SPREADS))
        self.spread_ = torch.tensor(spread, dtype=torch.float64)

    def _train(
        self,
        field: VelocityNetwork,
        rows: Tensor,
        origin: BaseDistribution,
        generator: torch.Generator,
    ) -> Iterator[tuple[float, VelocityNetwork]]:
        """Yield the share of the steps that is done and the averaged field, 20 times in all."""
        average, optimizer = averaged(field, _DECAY), field_optimizer(field, self.lr)
        which, chance = origin.belongs(rows)
        check = -(-self.steps // _CHECKS)
        for step in range(self.steps):
            rate = self.lr * min(1.0, (step + 1) / _WARM) * cosine(step, self.steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = torch.randint(len(rows), (self.batch_size,), generator=generator)
            ends = rows[chosen]
            begins = origin.partners(which[chosen], chance[chosen], generator)
            # One time from each of as many equal parts of [0, 1].
            jitter = torch.rand(_TIMES, generator=generator)
            times = (torch.arange(_TIMES) + jitter) / _TIMES
            loss = matching_loss(field, begins, ends, times)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            average.update_parameters(field)
            if (step + 1) % check == 0 or step + 1 == self.steps:
                trial = average.module
                assert isinstance(trial, VelocityNetwork), "an average of a field is a field"
                yield (step + 1) / self.steps, trial

    @property
    def noise_dim(self) -> int:
        """D + 1: the last number chooses the component from which a sample comes."""
        return self._fitted()[1].mixture.noise_dim

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Follow the field from a draw of the mixture at time 0 to time 1, float32 (B, D).

        Heun's method: x <- x + h (v(x, t) + v(x + h v(x, t), t + h)) / 2.
        """
        whiten = self._fitted()[0]
        return whiten.inverse(self._carry(noise, temperature * float(self.spread_))).float()

    def _carry(self, noise: Tensor, spread: float) -> Tensor:
        """Return whitened samples, float32 (B, D)."""
        _, origin, field = self._fitted()
        points = origin.mixture.from_noise(noise, temperature=spread).unsqueeze(0)
        pace = 1 / self.integration
        for step in range(self.integration):
            first = field(points, torch.tensor([step * pace]))
            second = field(points + pace * first, torch.tensor([(step + 1) * pace]))
            points = points + pace * (first + second) / 2
        return points.squeeze(0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mixture, the field's weights, and mean and factor of the codes."""
        whiten, origin, field = self._fitted()
        weights = {f"field.{name}": tensor for name, tensor in field.state_dict().items()}
        return whiten.state_dict() | origin.state_dict() | weights | {"spread": self.spread_}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Take up what `state_dict` returned."""
        self.whiten_, self.origin_ = Whitening.from_state(state), BaseDistribution.from_state(state)
        self.spread_ = state["spread"]
        with seeded(0):
            field = VelocityNetwork(len(self.whiten_.mean), width=self.width, blocks=self.blocks)
        weights = {k.removeprefix("field."): v for k, v in state.items() if k.startswith("field.")}
        field.load_state_dict(weights)
        self.field_ = field.requires_grad_(False).eval()
        return self

    def _fitted(self) -> tuple[Whitening, BaseDistribution, VelocityNetwork]:
        if self.whiten_ is None or self.origin_ is None or self.field_ is None:
            raise UserError("This flow-matching prior was not fitted; call fit(codes) first.")
        return self.whiten_, self.origin_, self.field_
