"""Evaluation of the final decoder: batch norm under the final weights, and errors of all rows."""

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import Decoder
from glo.decoders.decode import decode
from glo.losses import MSELoss
from glo.utils.device import autocast
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_ranges import evenly_spaced

_BATCH = 256
_MAX_BATCHES = 64


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
