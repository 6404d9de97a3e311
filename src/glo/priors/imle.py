"""Implicit maximum likelihood estimation (IMLE): the prior of GLANN."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from glo.latents.neighbours import nearest
from glo.priors.base import check_positive
from glo.priors.network_prior import NetworkPrior, random_batches, train_network
from glo.priors.residual_mlp import ResidualMLP

__all__ = ["IMLEPrior"]

_EMA_DECAY = 0.999
_BLOCK = 2048


@final
@dataclass(kw_only=True, eq=False)
class IMLEPrior(NetworkPrior):
    """Fit a map z = T(e) from noise to codes such that each code has a sample near it.

    Each pass draws and maps noise e_1, ..., e_M, and each code z_i of a random subset of the codes
    pulls the nearest sample closer:

        min_T sum_i |z_i - T(e_j(i))|^2 with j(i) = argmin_j |z_i - T(e_j)|^2.

    Every code has a sample, so no mode of the codes is dropped. T is a residual network on whitened
    codes, trained by Adam with a cosine schedule; the result is its averaged weights.

    Args:
        constraint: constraint of the codes.
        passes: number of passes, each with new noise and new nearest samples.
        pool: M, noise vectors per pass.
        part: codes per pass, at most.
        batch_size: codes per update.
        lr: peak learning rate of Adam.
        width: width of the network.
        blocks: residual blocks of the network.

    Raises:
        UserError: a number is below 1.

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
    passes: int = 150
    pool: int = 8192
    part: int = 4096
    batch_size: int = 256
    lr: float = 2e-3
    width: int = 256
    blocks: int = 3

    def __post_init__(self) -> None:
        check_positive(self, "passes", "pool", "part", "batch_size", "lr", "width", "blocks")

    def train(
        self, network: ResidualMLP, white: Tensor, seed: int, generator: torch.Generator
    ) -> Generator[float, None, nn.Module]:
        """Train T on whitened codes, (N, D), yielding the fraction of the passes done."""
        subsets = random_batches(len(white), self.part, generator)

        def pass_losses() -> Iterator[Tensor]:
            targets = white[next(subsets)]
            noise = torch.randn(self.pool, white.shape[1], generator=generator)
            with torch.no_grad():
                samples = torch.cat([network(part) for part in noise.split(_BLOCK)])
            matched = noise[nearest(targets, samples)[1]]
            for target, start in zip(
                targets.split(self.batch_size), matched.split(self.batch_size), strict=True
            ):
                yield (network(start) - target).square().mean()

        return (
            yield from train_network(
                network,
                torch.optim.Adam(network.parameters()),
                pass_losses,
                steps=self.passes,
                lr=self.lr,
                ema_decay=_EMA_DECAY,
            )
        )

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Return T(temperature e) for noise e, float32 (B, D)."""
        whitening = self._fitted(self.whitening_)
        return whitening.inverse(self.network_(temperature * noise)).float()

    def build_network(self, dim: int) -> ResidualMLP:
        """Return T with random weights."""
        return ResidualMLP(dim, dim, width=self.width, blocks=self.blocks)
