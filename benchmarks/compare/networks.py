"""Mirrored networks: the encoder of the autoencoders and the discriminator of DCGAN."""

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from glo.decoders import DCGAN
from glo.decoders.dcgan import BASE
from glo.utils.device import channels_last

__all__ = ["Mirror"]

_STD = 0.02


@final
class Mirror(nn.Module):
    """Map images (B, C, S, S) to (B, outputs) by the decoder's maps in reverse.

    4x4 convolutions of stride 2, LeakyReLU 0.2 and, but for the first, batch norm: DCGAN's
    discriminator, which with D outputs is an encoder.

    Args:
        decoder: whose maps are mirrored.
        outputs: numbers out.

    Reference:
        Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
        generative adversarial networks", ICLR 2016.
    """

    def __init__(self, decoder: DCGAN, outputs: int) -> None:
        super().__init__()
        widths = (decoder.shape[0], *reversed(decoder.widths))
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=number == 0))
            if number:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.maps = nn.Sequential(*layers)
        self.last = nn.Linear(widths[-1] * BASE**2, outputs)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=_STD)
        channels_last(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 (B, outputs), also under autocast."""
        maps = self.maps(images.contiguous(memory_format=torch.channels_last))
        out: Tensor = self.last(maps.flatten(1))
        return out.float()
