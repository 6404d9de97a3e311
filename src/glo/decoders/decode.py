"""Decode codes in batches, in evaluation mode."""

import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.decoders.base import Decoder
from glo.utils.device import autocast

__all__ = ["decode"]

# Codes decoded at a time.
_BATCH = 256


@torch.no_grad()
def decode(decoder: Decoder, codes: Tensor, settings: Settings) -> Tensor:
    """Return what the decoder makes of `codes`, in evaluation mode.

    Args:
        codes: (B, D).

    Returns:
        float32 (B, *shape) on the CPU; images in [-1, 1].
    """
    decoder.eval()
    device = next(decoder.parameters()).device
    parts = []
    for part in codes.split(_BATCH):
        with autocast(device, settings.precision):
            parts.append(decoder(part.to(device)).float().cpu())
    return torch.cat(parts)
