"""Refinement of a table of codes under a fixed decoder, by a few steps of the search.

In training each row is visited once an epoch while the decoder changes, so at the end the codes lag
behind the decoder. A few quasi-Newton steps on all codes remove most of that lag.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders import Decoder
from glo.inversion.bfgs import Rows
from glo.inversion.frozen_decoder import FrozenDecoder, frozen_decoder
from glo.inversion.objective import Objective
from glo.inversion.search import MAX_LENGTH, SearchLimits, new_rows, rows_per_batch, search
from glo.latents.table import LatentCodes
from glo.losses import Loss
from glo.utils.device import Precision
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_ranges import evenly_spaced
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["mean_inverse_hessian", "refine_codes"]

# Rows that estimate the curvature, 64 for each direction of a code, and the length of their probes
# as a share of the spread of the codes.
_PROBES, _PROBE_LENGTH = 64, 0.1
# Curvatures below this share of their mean are raised to it.
_MIN_CURVATURE = 0.1
# The curvature of a row differs from the mean: half a step lowers the loss of more rows.
_FIRST_STEP = 0.5


@with_torch_defaults
def refine_codes(
    decoder: Decoder,
    latents: LatentCodes,
    samples: Dataset,
    loss: Loss,
    *,
    passes: int,
    precision: Precision = "auto",
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> Iterator[int]:
    """Move every code by `passes` quasi-Newton steps under the fixed decoder, and keep the best.

    A search of `glo.inversion` that begins at the codes themselves, with one inverse Hessian for
    all rows, measured by differences of gradients along random probes, which BFGS then adapts to
    each row. Rows are independent: the decoder is in evaluation mode. The best iterate of each code
    is kept, so no row's loss increases. Codes are changed in place.

    Args:
        decoder: decoder, unchanged afterwards.
        latents: codes (N, D), their constraint included.
        samples: N examples.
        loss: loss of training.
        passes: number of steps, each of one decoding, beside a first decoding.
        precision: arithmetic of the decoder.
        ranks: processes, each with its own rows, which all use one inverse Hessian.

    Yields:
        number of rows done so far, of N.

    Reference:
        Nocedal and Wright, "Numerical Optimization", Springer 2006, algorithm 6.1, with a better
        first inverse Hessian than a multiple of the identity.
    """
    codes = latents.weight.detach()
    n, dim = codes.shape
    with frozen_decoder(decoder, precision) as decode:
        inverse, spread = mean_inverse_hessian(decode, codes, samples, loss, ranks)
        limits = SearchLimits(
            max_steps=passes + 1,
            tolerance=0.0,
            max_length=MAX_LENGTH * spread,
            constraint=latents.constraint,
        )
        for rows in torch.arange(n).split(rows_per_batch(math.prod(samples.shape), dim)):
            objective, first = _objective(decode, codes, samples, loss, rows), codes[rows]
            found = search(
                objective,
                lambda _, first=first: _first_rows(first, inverse),  # type: ignore[misc]
                (len(rows), 1, dim),
                limits,
                len(rows),
            )
            # A row whose loss is not finite anywhere keeps its code.
            known = found["total"][:, 0].isfinite()
            codes[rows[known]] = found["codes"][known, 0].to(codes.device)
            yield int(rows[-1]) + 1


def _objective(
    decode: FrozenDecoder, codes: Tensor, samples: Dataset | None, loss: Loss, rows: Tensor
) -> Objective:
    observed = None if samples is None else samples.observed(rows)
    target = (
        torch.cat(list(decode.batches(codes[rows]))) if samples is None else samples.batch(rows)
    )
    return Objective(
        decode=decode,
        operator=None,
        loss=loss,
        target=target.to(decode.device),
        mask=None if observed is None else observed.to(decode.device),
        weights=torch.zeros(len(rows), device=decode.device),
        log_density=None,
    )


def _first_rows(codes: Tensor, inverse: Tensor) -> Rows:
    numbers = torch.arange(len(codes), device=inverse.device)
    inverses = inverse.expand(len(codes), *inverse.shape)
    return new_rows(numbers, torch.zeros_like(numbers), codes.to(inverse.device), inverses)


def mean_inverse_hessian(
    decode: FrozenDecoder,
    codes: Tensor,
    samples: Dataset | None,
    loss: Loss,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> tuple[Tensor, float]:
    """Return the inverse of the mean Hessian of the loss by the code, and the spread of the codes.

    Half of the inverse, (D, D), with which more rows decrease at the first step; see below. Without
    `samples` the examples are the decoded codes.

    The gradient changes by y = H v along a probe v. For probes with covariance s^2 I the mean of
    y v^T is s^2 H. The inverse, (D, D), is positive definite.
    """
    dim = codes.shape[1]
    n = int(ranks.all_reduce(torch.tensor(len(codes))))
    rows = evenly_spaced(n, min(n, _PROBES * dim))
    first = ranks.all_gather_rows(codes, rows)
    spread = max(float(first.std(0, correction=0).norm()), 1e-6)
    scale = _PROBE_LENGTH * spread / dim**0.5
    probes = torch.randn(len(rows), dim, generator=torch.Generator().manual_seed(0))
    total = torch.zeros(dim, dim)
    local = ranks.is_local(rows).nonzero()[:, 0]
    numbers = next(decode.batches(codes[:1]))[0].numel()
    for part in local.split(rows_per_batch(numbers, dim)):
        objective = _objective(decode, codes, samples, loss, ranks.local_rows(rows[part]))
        own = torch.arange(len(part), device=decode.device)
        before, after = (
            objective.evaluate((first + side * probes)[part].to(decode.device), own, None, None)[2]
            for side in (-scale / 2, scale / 2)
        )
        change = (after - before).nan_to_num(0.0, 0.0, 0.0).cpu()
        total += probes[part].T @ change
    hessian = ranks.all_reduce(total).double() / (scale * len(rows))
    values, vectors = torch.linalg.eigh((hessian + hessian.T) / 2)
    values = values.abs().clamp(min=1e-12)
    values = values.clamp(min=_MIN_CURVATURE * float(values.mean()))
    inverse = _FIRST_STEP * (vectors / values) @ vectors.T
    return inverse.float().to(decode.device), spread
