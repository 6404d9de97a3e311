"""Frozen decoder: evaluation mode, weights without gradients, one arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn

from glo.errors import UserError
from glo.utils.device import Precision, autocast

__all__ = ["FrozenDecoder", "frozen_decoder"]

_BATCH = 512


@final
class FrozenDecoder:
    """Function from codes to examples; made by `frozen_decoder`."""

    def __init__(self, decoder: nn.Module, precision: Precision) -> None:
        weight = next(decoder.parameters(), None)
        self.device = torch.device("cpu") if weight is None else weight.device
        self._dtype = torch.float32
        if weight is not None and weight.is_floating_point():
            self._dtype = weight.dtype
        self._decoder, self._precision = decoder, precision

    def __call__(self, codes: Tensor) -> Tensor:
        """Return examples (B, *shape), float32, on the device."""
        with autocast(self.device, self._precision):
            output: Tensor = self._decoder(codes.to(self.device, self._dtype))
        return output.float()

    @torch.no_grad()
    def batches(self, codes: Tensor) -> Iterator[Tensor]:
        """Yield the examples of (N, D) codes in batches."""
        for part in codes.split(_BATCH):
            yield self(part)


@contextmanager
def frozen_decoder(decoder: nn.Module, precision: Precision) -> Iterator[FrozenDecoder]:
    """Freeze a decoder in evaluation mode for the duration of a `with` block."""
    if any(weight.is_inference() for weight in decoder.parameters()):
        raise UserError(
            "The decoder's weights were made under torch.inference_mode(), so they have no "
            "gradients; give copy.deepcopy(decoder), made outside of it."
        )
    flags = [(weight, weight.requires_grad) for weight in decoder.parameters()]
    training = decoder.training
    decoder.eval().requires_grad_(False)
    try:
        yield FrozenDecoder(decoder, precision)
    finally:
        decoder.train(training)
        for weight, flag in flags:
            weight.requires_grad_(flag)
