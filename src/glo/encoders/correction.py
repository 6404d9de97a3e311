"""Codes of an encoder, corrected by decoding them."""

from collections.abc import Callable

import torch
from torch import Tensor

from glo.encoders.encoder import Encoder
from glo.losses import Loss

__all__ = ["corrected_codes"]


@torch.no_grad()
def corrected_codes(
    encoder: Encoder,
    decode: Callable[[Tensor], Tensor],
    examples: Tensor,
    mask: Tensor | None,
    loss: Loss,
    *,
    steps: int,
) -> Tensor:
    """Encode examples x, and correct each code z by what the encoder makes of its decoding g(z).

        z <- z + E(x, m) - E(g(z), m)

    An encoder has nearly the same error at an example and at a close decoding of it, and the
    difference cancels it. A correction costs one decoding and one encoding, without gradients. The
    code of the lowest loss is returned.

    Args:
        encoder: E, in evaluation mode.
        decode: g, from codes (b, D) to examples (b, *shape).
        examples: x, float32 (b, *shape), on the device of the encoder; finite where observed.
        mask: m, as for the encoder; None: all is observed.
        loss: per-example loss by which codes are compared.
        steps: number of corrections; 0 returns E(x, m) without decoding it.

    Returns:
        codes (b, D).

    Example:
        >>> encoder = Encoder(code_dim=2, shape=(3,), width=1).eval()
        >>> decoder, x = torch.nn.Linear(2, 3), torch.zeros(4, 3)
        >>> codes = corrected_codes(encoder, decoder, x, None, lambda x, y, m: x[:, 0], steps=0)
        >>> torch.equal(codes, encoder(x))
        True
    """
    first: Tensor = encoder(examples, mask)
    if not steps:
        return first
    best = codes = first
    lowest = torch.full((len(first),), torch.inf, device=first.device)
    for step in range(steps + 1):
        decoded = decode(codes)
        error = loss(decoded, examples, mask)
        better = error < lowest
        best = torch.where(better.unsqueeze(1), codes, best)
        lowest = torch.where(better, error, lowest)
        if step < steps:
            codes = encoder.constrained(codes + first - encoder(decoded, mask))
    return best
