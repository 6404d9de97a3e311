"""Decoding of codes in batches, in evaluation mode."""

import torch
from torch import Tensor, nn

from glo.utils.device import Precision, autocast
from glo.utils.torch_defaults import with_torch_defaults

# Codes decoded at a time.
_BATCH = 256


@with_torch_defaults
@torch.no_grad()
def decode(decoder: nn.Module, codes: Tensor, precision: Precision = "auto") -> Tensor:
    """Decode codes (N, D) in batches, in evaluation mode, to float32 (N, *shape) on the CPU."""
    training = decoder.training
    decoder.eval()
    device = next(decoder.parameters()).device
    parts = []
    for part in codes.split(_BATCH):
        with autocast(device, precision):
            # One row alone takes other kernels, whose sums are rounded differently.
            batch = part if len(part) > 1 else part.expand(2, -1)
            parts.append(decoder(batch.to(device))[: len(part)].float().cpu())
    decoder.train(training)
    return torch.cat(parts)
