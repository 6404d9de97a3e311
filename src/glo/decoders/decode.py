"""Decoding of codes in batches, in evaluation mode."""

import torch
from torch import Tensor, nn

from glo.utils.device import Precision, autocast

__all__ = ["decode"]

# Codes decoded at a time.
_BATCH = 256


@torch.no_grad()
def decode(decoder: nn.Module, codes: Tensor, precision: Precision = "auto") -> Tensor:
    """Decode codes in batches, in evaluation mode; the decoder's mode is restored after.

    Args:
        decoder: module from codes (B, D) to examples (B, *shape).
        codes: codes (N, D), on any device.
        precision: "auto", "float32" or "bf16", as in the settings.

    Returns:
        Examples, float32 (N, *shape) on the CPU; images in [-1, 1].

    Example:
        >>> decode(nn.Linear(2, 3), torch.zeros(500, 2)).shape
        torch.Size([500, 3])
    """
    training = decoder.training
    decoder.eval()
    device = next(decoder.parameters()).device
    parts = []
    for part in codes.split(_BATCH):
        with autocast(device, precision):
            parts.append(decoder(part.to(device)).float().cpu())
    decoder.train(training)
    return torch.cat(parts)
