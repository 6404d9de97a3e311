"""DCGAN's generator, the decoder of the GLO paper, for power-of-two sides from 8 to 256."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from glo.decoders.base import Decoder, full_precision, positive
from glo.decoders.generator import doubled_widths, generator, image_side

BASE = 4
"""Side of the first map."""

CAP = 8
"""Channels of the widest map, in multiples of the width."""


@final
class DCGAN(Decoder):
    """Decode images by DCGAN's generator.

    D -> 4x4 map, then 4x4 transposed convolutions of stride 2 with batch norm and ReLU, then tanh.
    The map of side s has min(width S / 2s, 8 width) channels: each doubling halves them.
    No layer has a bias. Weights start from N(0, 0.02^2), batch norm from the identity.

    Args:
        code_dim: D.
        shape: (C, S, S) with S a power of two from 8 to 256.
        width: channels of the map of side S / 2, the last one before the image.

    Raises:
        UserError: the shape is not square with such a side, or a number is below 1.

    References:
        Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
        generative adversarial networks" (ICLR 2016), figure 1. Used by Bojanowski, Joulin,
        Lopez-Paz and Szlam, "Optimizing the latent space of generative networks" (ICML 2018).

    Example:
        >>> decoder = DCGAN(code_dim=8, shape=(3, 16, 16), width=4)
        >>> decoder(torch.zeros(2, 8)).shape
        torch.Size([2, 3, 16, 16])
    """

    name = "dcgan"

    def __init__(
        self, *, code_dim: int, shape: Sequence[int] = (1, 32, 32), width: int = 64
    ) -> None:
        width = positive("width", width)
        super().__init__(code_dim=code_dim, shape=shape, width=width)
        side = image_side(self.shape, decoder="DCGAN", least=2 * BASE)
        self.widths = doubled_widths(side, width, base=BASE, most=CAP * width)
        self.net = generator(self.code_dim, self.widths, self.shape[0], base=BASE, kernel=4)

    def forward(self, codes: Tensor) -> Tensor:
        """Return images (B, C, S, S) in [-1, 1]."""
        return torch.tanh(full_precision(self.net(self.checked(codes))))
