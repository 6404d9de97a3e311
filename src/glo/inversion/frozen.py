"""A decoder as a fixed function: evaluation mode, no gradient of its weights, one arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor

from glo.decoders import Decoder
from glo.utils.device import Precision, autocast

__all__ = ["Frozen", "frozen"]

_BATCH = 512


@final
class Frozen:
    """Decode with a decoder that does not change; made by `frozen`.

    Args:
        decoder: in evaluation mode.
        precision: of its products.
    """

    def __init__(self, decoder: Decoder, precision: Precision) -> None:
        self.device = next(decoder.parameters()).device
        self.shape, self.code_dim = decoder.shape, decoder.code_dim
        self._decoder, self._precision = decoder, precision

    def __call__(self, codes: Tensor) -> Tensor:
        """Return examples (B, *shape), float32, on the device."""
        with autocast(self.device, self._precision):
            output: Tensor = self._decoder(codes.to(self.device))
        return output.float()

    @torch.no_grad()
    def batches(self, codes: Tensor) -> Iterator[Tensor]:
        """Yield the examples of (N, D) codes, some hundreds at a time."""
        for part in codes.split(_BATCH):
            yield self(part)


@contextmanager
def frozen(decoder: Decoder, precision: Precision) -> Iterator[Frozen]:
    """Hold a decoder still, and give it back as it was.

    Example:
        >>> from glo.decoders import MLP
        >>> decoder = MLP(code_dim=2, shape=(4,), hidden=(8,)).train()
        >>> with frozen(decoder, "float32") as fixed:
        ...     fixed(torch.zeros(3, 2)).requires_grad
        False
        >>> decoder.training
        True
    """
    wanted = [(weight, weight.requires_grad) for weight in decoder.parameters()]
    training = decoder.training
    decoder.eval().requires_grad_(False)
    try:
        yield Frozen(decoder, precision)
    finally:
        decoder.train(training)
        for weight, flag in wanted:
            weight.requires_grad_(flag)
