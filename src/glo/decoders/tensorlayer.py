"""Generator of a TensorLayer implementation of GLO, for replaying its results."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from glo.decoders.base import Decoder, full_precision
from glo.decoders.generator import doubled_widths, generator, image_side

BASE = 2  # side of the first map
WIDTH = 64  # channels of the last map before the image
CAP = 512  # channels of the widest map


@final
class TensorLayerDCGAN(Decoder):
    """Decode images by the generator of a TensorLayer implementation of GLO.

    D -> 2x2 map of 512, then 5x5 transposed convolutions of stride 2 to 256, 128, 64 and C
    channels with batch norm (decay 0.9) and ReLU between them, then tanh. No layer has a bias and
    weights start from N(0, 0.02^2). That is for S = 32; other sides keep the 2x2 map and the 64
    channels before the image, and at most 512 channels.

    An odd kernel cannot be centred on a doubled map. TensorFlow's 'SAME' leaves the spare row and
    column on the other side, so the two are mirror images of one another.

    Args:
        code_dim: D.
        shape: (C, S, S) with S a power of two from 16 to 256.

    Raises:
        UserError: the shape is not square with such a side, or a number is below 1.

    Example:
        >>> decoder = TensorLayerDCGAN(code_dim=32)
        >>> decoder(torch.zeros(2, 32)).shape
        torch.Size([2, 1, 32, 32])
    """

    name = "tensorlayer"

    def __init__(self, *, code_dim: int, shape: Sequence[int] = (1, 32, 32)) -> None:
        super().__init__(code_dim=code_dim, shape=shape)
        side = image_side(self.shape, decoder="tensorlayer", least=16)
        widths = doubled_widths(side, WIDTH, base=BASE, most=CAP)
        self.net = generator(self.code_dim, widths, self.shape[0], base=BASE, kernel=5)

    def forward(self, codes: Tensor) -> Tensor:
        """Return images (B, C, S, S) in [-1, 1]."""
        return torch.tanh(full_precision(self.net(self.checked(codes))))
