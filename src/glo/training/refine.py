"""Codes alone, under a decoder that no longer changes.

In training each row is visited once an epoch while the decoder moves on, so at the end the codes
lag behind the decoder. A few more passes over all codes, decoder fixed, catch up. The same search
finds codes of examples that were never trained.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import Decoder
from glo.decoders.decode import decode
from glo.latents.table import LatentCodes
from glo.losses import Loss, MSELoss
from glo.utils.device import autocast
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_ranges import evenly_spaced

__all__ = ["evaluate", "recompute_batchnorm_stats", "refine_codes", "squared_errors"]

_BATCH = 256
_SETTLE = 64


def refine_codes(
    decoder: Decoder,
    table: LatentCodes,
    samples: Dataset,
    loss: Loss,
    *,
    passes: int,
    lr: float,
    settings: Settings,
) -> Iterator[int]:
    """Move every code down the gradient of its own loss, `passes` times, decoder fixed.

    Codes go on with their own optimiser and what it remembers of each row: its second moments know
    which directions of a code matter, which fresh ones would have to learn again. The rate falls to
    zero along a cosine. Rows do not influence each other: the decoder is in evaluation mode. Of all
    places that a code comes by the best is kept, so no row ends with a higher loss than it had.

    Args:
        decoder: the finished decoder; its weights get no gradient.
        table: N codes and their optimiser's state, changed in place.
        samples: N examples; row i belongs to code i.
        loss: per-example loss.
        passes: updates of each code.
        lr: rate of the first pass.
        settings: of the run, for its arithmetic (`precision`) and `reduction`.

    Yields:
        number of rows done so far, of N.

    Example:
        >>> import numpy as np
        >>> from glo.latents.optim import RowSGD
        >>> from glo.decoders import MLPDecoder
        >>> table = LatentCodes(torch.zeros(3, 2), rule=RowSGD(), constraint="ball")
        >>> samples = Dataset(rows=np.ones((3, 4), "float32"), name="ones")
        >>> decoder = MLPDecoder(code_dim=2, shape=(4,), hidden=(8,))
        >>> list(
        ...     refine_codes(
        ...         decoder, table, samples, MSELoss(), passes=2, lr=0.1, settings=Settings()
        ...     )
        ... )
        [3]
    """
    decoder.eval()
    wanted = [(p, p.requires_grad) for p in decoder.parameters()]
    decoder.requires_grad_(False)
    device = next(decoder.parameters()).device
    try:
        for rows in torch.arange(len(table)).split(_BATCH):
            target = samples.batch(rows).to(device)
            observed = samples.observed(rows)
            observed = None if observed is None else observed.to(device)
            best, lowest = table.codes[rows], torch.full((len(rows),), math.inf)
            for number in range(passes + 1):
                codes = table.gather(rows)
                with autocast(device, settings.precision):
                    output = decoder(codes.to(device))
                losses = loss(output, target, observed)
                reached = losses.detach().cpu()
                better = reached < lowest
                best[better], lowest[better] = codes.detach()[better], reached[better]
                if number == passes:
                    break
                losses.sum().backward()
                assert codes.grad is not None, "codes are a leaf of the loss"
                rate = lr * 0.5 * (1 + math.cos(math.pi * number / passes))
                # In the scale in which the moments were made.
                mean = settings.code_grad_reduction == "mean"
                gradient = codes.grad / settings.batch_size if mean else codes.grad
                table.update(rows, gradient, rate)
            table.codes[rows] = best
            yield int(rows[-1]) + 1
    finally:
        for parameter, flag in wanted:
            parameter.requires_grad_(flag)


def recompute_batchnorm_stats(
    decoder: Decoder,
    codes: Tensor,
    settings: Settings,
    *,
    n: int | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> None:
    """Measure batch norm's statistics anew, under the final weights and codes.

    What training leaves behind is a decayed average over its last noisy batches, under weights that
    were still moving. A mean over many batches closes the gap between training and evaluation.

    Args:
        decoder: its batch norm buffers change, nothing else.
        codes: (N, D), of which up to 64 whole batches, evenly spaced, are used; with several
            processes this one's.
        settings: `batch_size` and `precision` of the run.
        n: rows of all processes; those of `codes` when omitted.
        ranks: the processes, which all settle on the same numbers.
    """
    n = len(codes) if n is None else n
    # Whole batches: each counts alike in the mean, and a last one of few rows would weigh too much.
    whole = min(_SETTLE, n // settings.batch_size) * settings.batch_size
    rows = evenly_spaced(n, whole or n)
    batches = ranks.collect(codes, rows).split(settings.batch_size)
    device = next(decoder.parameters()).device
    with autocast(device, settings.precision):
        update_bn(batches, decoder, device=device)
    decoder.eval()


def squared_errors(decoder: Decoder, codes: Tensor, samples: Dataset, settings: Settings) -> Tensor:
    """Return the squared error of each example under its code, mean over its known numbers.

    Args:
        codes: (N, D).
        samples: N examples.

    Returns:
        float32 (N,).
    """
    measure, parts = MSELoss(), []
    for rows in torch.arange(len(samples)).split(_BATCH):
        output = decode(decoder, codes[rows], settings)
        parts.append(measure(output, samples.batch(rows), samples.observed(rows)))
    return torch.cat(parts)


def evaluate(decoder: Decoder, codes: Tensor, samples: Dataset, settings: Settings) -> float:
    """Return the mean of `squared_errors`."""
    return float(squared_errors(decoder, codes, samples, settings).double().mean())
