"""Refinement of codes under the final decoder, and statistics of the final decoder.

In training each row is visited once an epoch while the decoder changes, so at the end the codes lag
behind the decoder. A few more passes over all codes, with the decoder fixed, remove that lag.
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
from glo.latents.optim import RowOptimizer
from glo.latents.table import LatentCodes
from glo.losses import Loss, MSELoss
from glo.training.schedule import cosine
from glo.utils.device import autocast
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_ranges import evenly_spaced
from glo.utils.torch_defaults import with_torch_defaults

_BATCH = 256
_MAX_BATCHES = 64


@with_torch_defaults
def refine_codes(
    decoder: Decoder,
    latents: LatentCodes,
    optimizer: RowOptimizer,
    samples: Dataset,
    loss: Loss,
    *,
    passes: int,
    lr: float,
    settings: Settings,
) -> Iterator[int]:
    """Optimize every code under the fixed decoder, `passes` times, and keep its best iterate.

    The optimizer continues with its row state: its second moments hold the scale of each direction
    of a code, which new ones would have to estimate again. The learning rate falls from `lr` to
    zero along a cosine. Rows are independent: the decoder is in evaluation mode. The best iterate
    of each code is kept, so no row's loss increases. Codes are changed in place.

    Yields:
        number of rows done so far, of N.
    """
    decoder.eval()
    flags = [(p, p.requires_grad) for p in decoder.parameters()]
    decoder.requires_grad_(False)
    device = next(decoder.parameters()).device
    # In the scale in which the moments were accumulated.
    mean = settings.code_grad_reduction == "mean"
    grad_scale = 1 / settings.batch_size if mean else 1.0
    codes = latents.weight.detach()
    try:
        for rows in torch.arange(len(latents)).split(_BATCH):
            target = samples.batch(rows).to(device)
            observed = samples.observed(rows)
            observed = None if observed is None else observed.to(device)
            best, lowest = codes[rows], torch.full((len(rows),), math.inf)
            for number in range(passes + 1):
                batch = latents(rows, grad_scale=grad_scale)
                with autocast(device, settings.precision):
                    output = decoder(batch.to(device))
                losses = loss(output, target, observed)
                errors = losses.detach().cpu()
                better = errors < lowest
                best[better], lowest[better] = batch.detach()[better], errors[better]
                if number == passes:
                    break
                optimizer.zero_grad(set_to_none=True)
                losses.sum().backward()
                for group in optimizer.param_groups:
                    group["lr"] = lr * cosine(number, passes)
                optimizer.step()
                latents.project_(rows)
            codes[rows] = best
            optimizer.zero_grad(set_to_none=True)
            yield int(rows[-1]) + 1
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def recompute_batchnorm_stats(
    decoder: Decoder,
    codes: Tensor,
    settings: Settings,
    *,
    n: int | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> None:
    """Recompute the statistics of batch norm under the final weights and codes.

    Training leaves a decayed average over its last noisy batches, under weights that still changed.
    A mean over many batches closes the gap between training and evaluation. Up to 64 whole batches
    of evenly spaced codes are used.

    Args:
        decoder: decoder, whose batch norm buffers are changed.
        codes: local codes (N, D).
        settings: settings of the run, for `batch_size` and `precision`.
        n: number of rows of all processes; None: N.
        ranks: processes, which all compute the same statistics.
    """
    n = len(codes) if n is None else n
    # Whole batches: each counts alike in the mean, and a last one of few rows would weigh too much.
    whole = min(_MAX_BATCHES, n // settings.batch_size) * settings.batch_size
    rows = evenly_spaced(n, whole or n)
    batches = ranks.all_gather_rows(codes, rows).split(settings.batch_size)
    device = next(decoder.parameters()).device
    with autocast(device, settings.precision):
        update_bn(batches, decoder, device=device)
    decoder.eval()


def squared_errors(decoder: Decoder, codes: Tensor, samples: Dataset, settings: Settings) -> Tensor:
    """Return the squared error of each example under its code, float32 (N,), over known numbers."""
    measure, parts = MSELoss(), []
    for rows in torch.arange(len(samples)).split(_BATCH):
        output = decode(decoder, codes[rows], settings.precision)
        parts.append(measure(output, samples.batch(rows), samples.observed(rows)))
    return torch.cat(parts)


def evaluate(decoder: Decoder, codes: Tensor, samples: Dataset, settings: Settings) -> float:
    """Return the mean of `squared_errors`."""
    return float(squared_errors(decoder, codes, samples, settings).double().mean())
