"""PCA, GLO and an autoencoder under a budget of CPU seconds."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import final

import torch
from benchmarks.colour.problem import Method, Problem, every
from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.glo_method import Timed
from torch import Tensor, nn
from torch.nn import functional

from glo.config.settings import Settings
from glo.decoders import Decoder, build_decoder
from glo.decoders.decode import decode
from glo.inversion import InversionOptions, decode_initial_codes, invert
from glo.inversion.refine import refine_codes
from glo.latents.init import fit_pca
from glo.priors import build_prior
from glo.training.evaluation import recompute_batchnorm_stats
from glo.training.factory import decoder_config, training_loss
from glo.training.loop import train
from glo.training.optim import decoder_optimizer
from glo.training.state import init_train_state
from glo.utils.device import autocast, channels_last
from glo.utils.random import permutation

__all__ = ["make_autoencoder", "make_glo", "make_pca"]

_CPU = torch.device("cpu")
_PRIOR = "mixture"
# Share of GLO's budget reserved for code refinement.
_POLISH = 0.15
_ENCODER_RATE = 1e-3
# Held-out pictures that are searched by the run's own loss as well.
_OWN = 50


def make_pca(problem: Problem) -> Method:
    """Project on D components, and sample scores from a mixture."""
    watch = Stopwatch()
    images, shape = every(problem.train).flatten(1), problem.train.shape
    pca = fit_pca(problem.train, problem.settings.code_dim, seed=problem.seed)
    scores = (images - pca.mean) @ pca.components.T
    spent, fitting = watch.cpu, Stopwatch()
    drawn = _draw(problem, scores, "free")
    fit_cpu = fitting.cpu

    def picture(codes: Tensor) -> Tensor:
        return (pca.mean + codes @ pca.components).view(-1, *shape).clamp(-1.0, 1.0)

    heldout = (problem.heldout.flatten(1) - pca.mean) @ pca.components.T
    return Method(
        train=picture(scores),
        heldout={"own": picture(heldout)},
        samples=picture(drawn),
        cpu=spent,
        fit_cpu=fit_cpu,
    )


def make_glo(problem: Problem, loss: str | None = None) -> Method:
    """Train the preset by the package's training loop within the budget."""
    settings = replace(problem.settings, loss=loss or problem.settings.loss)
    watch, n = Stopwatch(), len(problem.train)
    pca = fit_pca(problem.train, settings.code_dim, seed=problem.seed)
    started = init_train_state(problem.train, settings, pca)
    training = Timed(settings, started.decoder, started.latents, n=n)
    training.start_clock(watch, (1 - _POLISH) * problem.seconds)
    begun = watch.cpu
    for _ in train(training, problem.train):
        if training.done:
            break
    epochs = training.step / settings.steps_per_epoch(n)
    per_pass = (watch.cpu - begun) / epochs
    decoder, latents = training.final_decoder, training.latents
    recompute_batchnorm_stats(decoder, training.codes, settings)
    passes = min(settings.refine_passes, int((problem.seconds - watch.cpu) / per_pass))
    if passes:
        kind, precision = training_loss(settings), settings.precision
        for _ in refine_codes(
            decoder, latents, problem.train, kind, passes=passes, precision=precision
        ):
            pass
    spent = watch.cpu
    return _decoded(
        problem, settings, decoder, training.codes, {}, spent, epochs, {"refine_passes": passes}
    )


def make_autoencoder(problem: Problem, loss: str | None = None) -> Method:
    """Train the same decoder with a mirrored encoder, by the same loss and optimizer."""
    settings = replace(problem.settings, loss=loss or problem.settings.loss)
    watch, n = Stopwatch(), len(problem.train)
    torch.manual_seed(problem.seed)
    decoder = channels_last(build_decoder(decoder_config(problem.train, settings)))
    encoder = channels_last(Mirror(decoder, settings.width))
    # The decoder moves as GLO's does; an encoder of convolutions has Adam's usual rate.
    optimizers = {
        _ENCODER_RATE: torch.optim.Adam(encoder.parameters(), lr=_ENCODER_RATE),
        settings.decoder_lr: decoder_optimizer(settings, decoder),
    }
    loss_of, step = training_loss(settings), 0
    while watch.share(problem.seconds) < 1.0:
        for rows in permutation(n, problem.seed, step).split(settings.batch_size):
            share, target = watch.share(problem.seconds), problem.train.batch(rows)
            if share >= 1.0:
                break
            with autocast(_CPU, "auto"):
                output = decoder(encoder(target))
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            loss_of(output, target, None).mean().backward()
            for rate, optimizer in optimizers.items():
                for group in optimizer.param_groups:
                    group["lr"] = rate * (1 - share)
                optimizer.step()
            step += 1
    spent = watch.cpu
    codes, heldout = (_encode(encoder, each) for each in (every(problem.train), problem.heldout))
    own = {"own": decode(decoder, heldout, settings.precision)}
    free = replace(settings, constraint="free")
    return _decoded(
        problem, free, decoder, codes, own, spent, step / settings.steps_per_epoch(n), {}
    )


@final
class Mirror(nn.Module):
    """Map images (B, C, S, S) to codes by the residual decoder's blocks in reverse.

    Each halves the side: x -> W down(x) + conv(relu(norm(down(conv(relu(x)))))), where down takes
    the mean of 2x2 pixels; a 3x3 convolution before, and a linear map after.

    Args:
        decoder: whose widths are mirrored.
        width: as the decoder's.
    """

    def __init__(self, decoder: Decoder, width: int) -> None:
        super().__init__()
        doublings = int(math.log2(decoder.shape[1] // 4))
        widths = [width // 2, *(width * min(2**k, 8) for k in range(doublings))]
        self.first = nn.Conv2d(decoder.shape[0], widths[0], 3, padding=1)
        self.blocks = nn.Sequential(*(_Halving(*pair) for pair in pairwise(widths)))
        self.last = nn.Linear(widths[-1] * 16, decoder.code_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 (B, D), also under autocast."""
        maps = self.first(images.contiguous(memory_format=torch.channels_last))
        codes: Tensor = self.last(functional.relu(self.blocks(maps)).flatten(1))
        return codes.float()


@final
class _Halving(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.large = nn.Conv2d(before, before, 3, padding=1)
        self.norm = nn.GroupNorm(math.gcd(before, 8), before)
        self.small = nn.Conv2d(before, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1)

    def forward(self, maps: Tensor) -> Tensor:
        inner = functional.avg_pool2d(self.large(functional.relu(maps)), 2)
        inner = self.small(functional.relu(self.norm(inner)))
        shortcut: Tensor = self.skip(functional.avg_pool2d(maps, 2))
        return shortcut + inner


def _decoded(
    problem: Problem,
    settings: Settings,
    decoder: Decoder,
    codes: Tensor,
    heldout: dict[str, Tensor],
    cpu: float,
    epochs: float,
    facts: dict[str, float],
) -> Method:
    """Fit the sampler, draw samples, and invert the held-out images."""
    watch = Stopwatch()
    drawn = _draw(problem, codes, settings.constraint)
    fit_cpu, watch = watch.cpu, Stopwatch()
    starts = decode_initial_codes(decoder, codes, precision=settings.precision)
    options = InversionOptions(constraint=settings.constraint)
    searched = invert(decoder, problem.heldout, starts, options=options)
    facts |= {"search_cpu": watch.cpu, "search_steps": float(searched.steps.float().mean())}
    found = {"search": searched.reconstructions}
    if not heldout:
        options = replace(options, loss=training_loss(settings))
        by_loss = invert(decoder, problem.heldout[:_OWN], starts, options=options)
        found["by its loss"] = by_loss.reconstructions
    return Method(
        train=decode(decoder, codes, settings.precision),
        heldout=heldout | found,
        samples=decode(decoder, drawn, settings.precision),
        cpu=cpu,
        fit_cpu=fit_cpu,
        epochs=epochs,
        numbers=sum(weight.numel() for weight in decoder.parameters()),
        facts=facts,
    )


def _draw(problem: Problem, codes: Tensor, constraint: str) -> Tensor:
    prior = build_prior(_PRIOR, constraint=constraint)
    prior.fit(codes, seed=problem.seed)
    return prior.sample(problem.n_samples, seed=problem.seed)


@torch.no_grad()
def _encode(encoder: Mirror, images: Tensor) -> Tensor:
    with autocast(_CPU, "auto"):
        return torch.cat([encoder(part) for part in images.split(256)])
