"""GLANN's prior: a map from noise to codes, learned by implicit maximum likelihood."""

from collections.abc import Iterator
from typing import ClassVar, Self, final

import torch
from torch import Tensor, nn

from glo.errors import UserError
from glo.latents.constraints import Constraint
from glo.priors.base import Prior, check_codes
from glo.priors.residual_mlp import (
    ResidualMLP,
    averaged,
    batches,
    cosine,
    private_generator,
    seeded,
)
from glo.priors.whitening import Whitening

__all__ = ["IMLEPrior"]

_BLOCK = 2048
_DECAY = 0.999


@final
class IMLEPrior(Prior):
    """Fit a map z = T(e) from noise to codes such that each code has a sample near it.

    At each pass noise e_1, ..., e_M is drawn anew and mapped, and each code z_i of a part of the
    codes moves the sample that is nearest to it closer:

        min_T sum_i |z_i - T(e_j(i))|^2 with j(i) = argmin_j |z_i - T(e_j)|^2.

    Every code has its sample, so no part of the codes can be forgotten. T is a residual network
    on whitened codes, trained by Adam with a cosine schedule; its averaged weights are kept.

    Args:
        constraint: what held for the codes.
        passes: how often noise is drawn and matched.
        pool: M, how many noise vectors are drawn a pass.
        part: how many codes are matched a pass, at most.
        batch_size: codes a step.
        lr: rate of Adam at the start.
        width: of the network.
        blocks: how many residual blocks it has.

    Raises:
        UserError: a number is below 1, or it samples before fitting.

    Reference:
        Hoshen, Li, Malik, "Non-Adversarial Image Synthesis with Generative Latent Nearest
        Neighbors", CVPR 2019, section 3.2; Li, Malik, "Implicit Maximum Likelihood Estimation",
        2018, algorithm 1.

    Example:
        >>> prior = IMLEPrior(passes=2, pool=64, width=8).fit(torch.eye(3))
        >>> prior.sample(2).shape
        torch.Size([2, 3])
    """

    name: ClassVar[str] = "imle"

    def __init__(
        self,
        *,
        constraint: Constraint = "free",
        passes: int = 150,
        pool: int = 8192,
        part: int = 4096,
        batch_size: int = 256,
        lr: float = 2e-3,
        width: int = 256,
        blocks: int = 3,
    ) -> None:
        super().__init__(constraint=constraint)
        if min(passes, pool, part, batch_size, width) < 1 or blocks < 0 or not lr > 0:
            raise UserError(
                f"passes is {passes}, pool {pool}, part {part}, batch_size {batch_size}, lr {lr}, "
                f"width {width} and blocks {blocks}; all must be above 0."
            )
        self.passes = passes
        self.pool = pool
        self.part = part
        self.batch_size = batch_size
        self.lr = lr
        self.width = width
        self.blocks = blocks
        self.whiten_: Whitening | None = None
        self.network_: nn.Module | None = None

    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Learn T from `codes`, (N, D)."""
        rows = check_codes(codes)
        whiten = Whitening.fit(rows)
        ready = whiten.forward(rows).float()
        dim = ready.shape[1]
        with seeded(seed):
            network = self._build(dim)
        average, generator = averaged(network, _DECAY), private_generator(seed)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr)
        parts = batches(len(ready), self.part, self.passes, generator)
        for done, chosen in enumerate(parts):
            for group in optimizer.param_groups:
                group["lr"] = self.lr * cosine(done, self.passes)
            noise = torch.randn(self.pool, dim, generator=generator)
            near = noise[nearest(ready[chosen], _apply(network, noise))]
            for some in torch.arange(len(chosen)).split(self.batch_size):
                loss = (network(near[some]) - ready[chosen[some]]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                average.update_parameters(network)
            if done + 1 < self.passes:
                yield (done + 1) / self.passes
        self.whiten_, self.network_ = whiten, average.module.requires_grad_(False)
        yield 1.0

    @property
    def noise_dim(self) -> int:
        """D."""
        return len(self._fitted()[0].mean)

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Return T(temperature e), e being the noise, float32 (B, D)."""
        whiten, network = self._fitted()
        return whiten.inverse(network(temperature * noise)).float()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's weights, and mean and factor of the codes."""
        whiten, network = self._fitted()
        return whiten.state_dict() | {f"network.{k}": v for k, v in network.state_dict().items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Take up what `state_dict` returned."""
        self.whiten_ = Whitening.from_state(state)
        with seeded(0):
            network = self._build(len(self.whiten_.mean))
        weights = {k.removeprefix("network."): v for k, v in state.items() if "network." in k}
        network.load_state_dict(weights)
        self.network_ = network.requires_grad_(False)
        return self

    def _build(self, dim: int) -> ResidualMLP:
        return ResidualMLP(dim, dim, width=self.width, blocks=self.blocks)

    def _fitted(self) -> tuple[Whitening, nn.Module]:
        if self.whiten_ is None or self.network_ is None:
            raise UserError("This IMLE prior was not fitted; call fit(codes) first.")
        return self.whiten_, self.network_


def nearest(rows: Tensor, others: Tensor) -> Tensor:
    """Return the number of the nearest of `others`, (M, D), for each of `rows`, (B, D): (B,).

    Only |o|^2 - 2 r.o is compared, in blocks of rows, so memory does not grow with B M.

    Example:
        >>> nearest(torch.tensor([[0.9], [3.0]]), torch.tensor([[0.0], [1.0], [4.0]]))
        tensor([1, 2])
    """
    length = others.square().sum(1)
    return torch.cat(
        [torch.addmm(length, some, others.T, alpha=-2.0).argmin(1) for some in rows.split(_BLOCK)]
    )


@torch.no_grad()
def _apply(network: nn.Module, rows: Tensor) -> Tensor:
    return torch.cat([network(some) for some in rows.split(_BLOCK)])
