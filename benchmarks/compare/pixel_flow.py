"""Flow matching on pixels: a small convolutional U-Net as the velocity of images, without codes."""

import math
from itertools import pairwise
from typing import final

import torch
from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.problem import Problem
from torch import Tensor, nn
from torch.nn import functional

from glo.priors.network_prior import average_weights
from glo.utils.device import autocast, channels_last

__all__ = ["PixelFlow", "learn_pixel_flow"]

_RATE, _WARMUP, _DECAY = 1e-3, 100, 0.999
_WIDTHS = (32, 64, 128)
_TIME, _GROUPS = 128, 8
_FREQUENCIES, _MAX_FREQUENCY = 32, 100.0
_INTEGRATION = 10
_CPU = torch.device("cpu")


@final
class PixelFlow(nn.Module):
    """Map noise to images along a velocity field v(x, t), a U-Net on 2 x 2 blocks of pixels.

    Residual blocks of two 3x3 convolutions, one on the way down and one on the way up at sides 16
    and 8, two at side 4, conditioned on the time by a scale and a shift of each channel.

    Args:
        shape: (C, S, S), shape of an image, S a multiple of 8.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, packed = shape, 4 * shape[0]
        self.time = nn.Sequential(nn.Linear(2 * _FREQUENCIES, _TIME), nn.SiLU())
        self.first = nn.Conv2d(packed, _WIDTHS[0], 3, padding=1)
        self.down = nn.ModuleList(_Block(width, width) for width in _WIDTHS)
        self.halve = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(_WIDTHS)
        )
        self.middle = _Block(_WIDTHS[-1], _WIDTHS[-1])
        self.up = nn.ModuleList(_Block(a + b, a) for a, b in pairwise(_WIDTHS))
        self.last = nn.Sequential(
            nn.GroupNorm(_GROUPS, _WIDTHS[0]),
            nn.SiLU(),
            nn.Conv2d(_WIDTHS[0], packed, 3, padding=1),
        )

    def velocity(self, images: Tensor, times: Tensor) -> Tensor:
        """Return v(x, t) of images (B, C, S, S) at times (B,)."""
        frequencies = torch.linspace(0, math.log(_MAX_FREQUENCY), _FREQUENCIES).exp()
        angles = times[:, None] * frequencies
        time = self.time(torch.cat([angles.cos(), angles.sin()], 1))
        packed = functional.pixel_unshuffle(images, 2)
        maps = self.first(packed.contiguous(memory_format=torch.channels_last))
        kept = []
        for block, halve in zip(self.down, [*self.halve, nn.Identity()], strict=True):
            maps = block(maps, time)
            kept.append(maps)
            maps = halve(maps)
        maps = self.middle(kept.pop(), time)
        for block, skipped in zip(reversed(self.up), reversed(kept), strict=True):
            wide = functional.interpolate(maps, scale_factor=2.0)
            maps = block(torch.cat([wide, skipped], 1), time)
        return functional.pixel_shuffle(self.last(maps), 2)

    def forward(self, noise: Tensor) -> Tensor:
        """Integrate dx/dt = v(x, t) from noise, (B, C S S), by Heun's method."""
        images, h = noise.view(-1, *self.shape), 1 / _INTEGRATION
        for step in range(_INTEGRATION):
            times = torch.full((len(images),), step * h)
            slope = self.velocity(images, times).float()
            ahead = self.velocity(images + h * slope, times + h).float()
            images = images + h / 2 * (slope + ahead)
        return images.clamp(-1.0, 1.0)


@final
class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for width in (before, after))
        self.convs = nn.ModuleList(
            nn.Conv2d(width, after, 3, padding=1) for width in (before, after)
        )
        self.time = nn.Linear(_TIME, 2 * after)
        self.skip = nn.Conv2d(before, after, 1)
        nn.init.zeros_(self.convs[1].weight)

    def forward(self, maps: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        inner = self.convs[0](functional.silu(self.norms[0](maps)))
        inner = self.norms[1](inner) * (1 + scale) + shift
        return self.skip(maps) + self.convs[1](functional.silu(inner))


def learn_pixel_flow(problem: Problem) -> LatentModel:
    """Train the field for the whole budget, with averaged weights as the result.

    Adam 1e-3 with a linear schedule after a short warm-up, straight paths from N(0, I).

    Reference:
        Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023.
    """
    torch.manual_seed(problem.seed)
    watch, steps = Stopwatch(), 0
    flow = channels_last(PixelFlow(problem.train.shape))
    average = average_weights(flow, _DECAY)
    optimizer = torch.optim.Adam(flow.parameters(), betas=(0.9, 0.99), fused=True)
    for images in problem.batches():
        share = watch.share(problem.seconds)
        if share >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, (steps + 1) / _WARMUP) * (1 - share)
        noise, times = torch.randn_like(images), torch.rand(len(images))
        points = torch.lerp(noise, images, times[:, None, None, None])
        with autocast(_CPU, "auto"):
            slopes = flow.velocity(points, times)
        optimizer.zero_grad(set_to_none=True)
        (slopes.float() - (images - noise)).square().mean().backward()
        optimizer.step()
        average.update_parameters(flow)
        steps += 1
    networks = nn.ModuleDict({"decoder": average.module})
    # No codes: samples begin at noise of as many numbers as an image has.
    codes = torch.zeros(1, torch.Size(problem.train.shape).numel())
    return LatentModel(networks=networks, codes=codes, training=watch.read(), steps=steps)
