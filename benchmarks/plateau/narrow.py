"""The TensorLayer project's generator with fewer channels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from glo.decoders.base import Decoder, full_precision
from glo.decoders.generator import generator
from glo.decoders.tensorlayer import BASE, CAP, WIDTH

__all__ = ["NarrowDecoder"]


class NarrowDecoder(Decoder):
    """The decoder of `glo.decoders.tensorlayer` with all channels divided by a number.

    Four times fewer channels make a step about six times cheaper, so that the study can have many
    cells. Side 32 only.

    Args:
        code_dim: D.
        shape: (C, 32, 32).
        divide: what 512, 256, 128 and 64 channels are divided by.

    Example:
        >>> NarrowDecoder(code_dim=4, divide=16)(torch.zeros(2, 4)).shape
        torch.Size([2, 1, 32, 32])
    """

    name = "tensorlayer-narrow"

    def __init__(
        self, *, code_dim: int, shape: Sequence[int] = (1, 32, 32), divide: int = 4
    ) -> None:
        super().__init__(code_dim=code_dim, shape=shape, divide=divide)
        widths = tuple(CAP // 2**k // divide for k in range((CAP // WIDTH).bit_length()))
        self.net = generator(self.code_dim, widths, self.shape[0], base=BASE, kernel=5)

    def forward(self, codes: Tensor) -> Tensor:
        """Return images (B, C, 32, 32) in [-1, 1]."""
        return torch.tanh(full_precision(self.net(self.checked(codes))))
