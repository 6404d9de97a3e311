"""DCGAN with the same generator and the usual settings, for as many steps as the budget allows."""

import torch
from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.networks import Mirror
from benchmarks.compare.problem import Problem
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from glo.config.settings import Settings
from glo.training.evaluation import recompute_batchnorm_stats
from glo.utils.device import autocast, channels_last
from glo.utils.random import normal

__all__ = ["learn_dcgan"]

_RATE = 2e-4
_BETAS = (0.5, 0.999)
# Noise whose first 64 batches settle batch norm's statistics, and at whose images searches begin.
_NOISE = 10_000


def learn_dcgan(problem: Problem) -> LatentModel:
    """Train a generator against a mirrored discriminator.

    One step of each per batch, Adam 2e-4 (0.5, 0.999), no schedule, the non-saturating loss, real
    and made images in batches of their own. At the end the generator's batch norm is settled on
    noise, as GLO's is on codes, which suits it better than the decayed averages.

    Reference:
        Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
        generative adversarial networks", ICLR 2016, section 4.
    """
    settings = Settings(batch_size=problem.batch, device="cpu")
    noise = normal(problem.seed, 0, _NOISE, problem.code_dim, stream="codes")
    # Once in vain, to know what time to keep for it.
    watch = Stopwatch()
    recompute_batchnorm_stats(channels_last(problem.decoder()), noise, settings)
    seconds = problem.seconds - watch.cpu

    watch, steps, cpu = Stopwatch(), 0, torch.device("cpu")
    generator = channels_last(problem.decoder()).train()
    critic = Mirror(generator, 1).train()
    makers = torch.optim.Adam(generator.parameters(), lr=_RATE, betas=_BETAS, fused=True)
    judges = torch.optim.Adam(critic.parameters(), lr=_RATE, betas=_BETAS, fused=True)
    draws = torch.Generator().manual_seed(problem.seed)
    for real in problem.batches():
        if watch.share(seconds) >= 1.0:
            break
        drawn = torch.randn(len(real), problem.code_dim, generator=draws)
        with autocast(cpu, "auto"):
            made = generator(drawn)
            loss = _cost(critic(real), 1.0) + _cost(critic(made.detach()), 0.0)
        judges.zero_grad(set_to_none=True)
        loss.backward()
        judges.step()
        # The gradient passes through the discriminator; its weights need none.
        critic.requires_grad_(False)
        with autocast(cpu, "auto"):
            loss = _cost(critic(made), 1.0)
        makers.zero_grad(set_to_none=True)
        loss.backward()
        makers.step()
        critic.requires_grad_(True)
        steps += 1
    recompute_batchnorm_stats(generator, noise, settings)
    networks = nn.ModuleDict({"decoder": generator})
    return LatentModel(networks=networks, codes=noise, training=watch.read(), steps=steps)


def _cost(scores: Tensor, wanted: float) -> Tensor:
    return binary_cross_entropy_with_logits(scores, torch.full_like(scores, wanted))
