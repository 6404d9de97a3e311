"""Encoding of unseen examples with a run: `glo.inversion.invert` with the options of the run.

The search begins at the run's codes and has the run's constraint and precision; residuals are
squared errors. Whole examples are searched by the run's loss, like the training examples. Partial
or degraded observations are searched by squared error and the local prior, as the observed values
may not determine the code.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, final

import torch
from torch import Tensor

from glo.data import Dataset
from glo.encoders import Encoder, corrected_codes
from glo.errors import UserError
from glo.inversion import (
    InitialCodes,
    Inversion,
    InversionCallback,
    InversionOptions,
    InversionProgress,
    Operator,
    SearchStart,
    decode_initial_codes,
    invert,
)
from glo.inversion.checks import check_mask, check_target
from glo.inversion.frozen_decoder import frozen_decoder
from glo.losses import MSELoss
from glo.runs.run import Run
from glo.training.factory import training_loss
from glo.utils.device import find_device
from glo.utils.torch_defaults import with_torch_defaults

__all__ = [
    "EncodedBatch",
    "ProgressCallback",
    "SearchKind",
    "batch_rows",
    "encode",
    "encode_batches",
    "encode_dataset",
    "encoder_codes",
    "prepare_search",
]

# Function of the name of the work, the units done and the units in all; it may raise to stop.
ProgressCallback = Callable[[str, int, int], None]

# One pass of the run's encoder; a short search that begins there; or a full search. Without an
# encoder every search is full.
SearchKind = Literal["encoder", "refine", "full"]

_CHUNK = 2048
# Measured on MNIST: about 1.03 times the error of a full search, which takes 22 decodings.
_CORRECTIONS, _SHORT_STEPS = 2, 9
_ENCODED = 512
# Error of new examples as a multiple of the run's training error. Measured on MNIST, squared error
# of hidden pixels at 1, 2 and 4 times: 0.0093, 0.0094, 0.0099 with 30 % of them missing, 0.0534,
# 0.0540, 0.0589 with 90 %; with one half missing more is better.
_ERROR_FACTOR = 2.0
# Lower bound of the noise, as a share of the examples' spread: an overfitted decoder has hardly any
# training error.
_MIN_NOISE = 0.125


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedBatch:
    """Codes of a batch of examples.

    Attributes:
        rows: int64 (b,), row numbers in the dataset.
        target: (b, *shape), examples, standardized if the run is.
        mask: 1 where the target is observed and 0 where it is missing; None: all is observed.
    """

    rows: Tensor
    target: Tensor
    mask: Tensor | None
    inversion: Inversion


@with_torch_defaults
def prepare_search(run: Run, *, device: str = "auto") -> InitialCodes:
    """Decode a finished run's codes, at least two, as initial codes on a device."""
    run.check_finished(
        unfinished="its codes and decoder still change",
        single="a search needs two initial codes",
    )
    found = find_device(device)
    run.decoder.to(found)
    if run.encoder is not None:
        run.encoder.to(found)
    return decode_initial_codes(run.decoder, run.codes, precision=run.settings.precision)


def encode(
    run: Run,
    x: Tensor,
    initial_codes: InitialCodes,
    *,
    mask: Tensor | None = None,
    operator: Operator | None = None,
    noise: float | None = None,
    n_solutions: int = 1,
    search: SearchKind = "refine",
    callback: InversionCallback | None = None,
) -> Inversion:
    """Search for the codes of observations of the run's decoder, as `glo.inversion.invert` does.

    The short search begins at the code of the encoder, corrected by a few decodings (see
    `glo.encoders.corrected_codes`). Observations that it explains worse than the run any training
    example are searched in full, and the better result is kept; all others count as converged.

    Args:
        run: finished run.
        x: float (n, *shape'), observations.
        initial_codes: result of `prepare_search`.
        mask: 1 where observed and 0 where hidden; None: all is observed.
        operator: observation operator; None: identity.
        noise: standard deviation of the observation's errors, above 0; None: twice that of the
            run's reconstructions, at least an eighth of the spread of the examples.
        n_solutions: number of solutions per observation; several need a full search.
        search: kind of the search of whole or partly hidden examples with an encoder; all other
            searches are full.
        callback: function called after each decoding.
    """
    encoder = run.encoder if operator is None and noise is None and n_solutions == 1 else None
    whole = mask is None and operator is None and noise is None
    options = InversionOptions(
        operator=operator,
        loss=training_loss(run.settings) if whole else None,
        residual_loss=MSELoss(),
        prior="none" if whole else "local",
        noise=_noise(run, initial_codes) if noise is None else noise,
        n_solutions=n_solutions,
        constraint=run.settings.constraint,
        precision=run.settings.precision,
    )
    if encoder is None and search == "encoder":
        raise _no_encoder(run)
    if encoder is None or search == "full":
        return invert(run.decoder, x, initial_codes, mask=mask, options=options, callback=callback)
    if search == "encoder":
        return _encode_once(run, encoder, x, mask)
    return _encode_short(run, encoder, x, initial_codes, mask, options, callback)


@with_torch_defaults
def encoder_codes(run: Run, dataset: Dataset) -> Tensor:
    """Return the codes of one pass of the run's encoder, float32 (n, D), without decoding them."""
    encoder, dataset = run.encoder, run.standardize(dataset)
    if encoder is None:
        raise _no_encoder(run)
    parts = torch.arange(len(dataset)).split(_CHUNK)
    loaded = (_checked(run, encoder, dataset.batch(p), dataset.observed(p)) for p in parts)
    return torch.cat([_one_pass(encoder, x, mask).cpu() for x, mask in loaded])


def _no_encoder(run: Run) -> UserError:
    return UserError(
        f"search is 'encoder', but {run.folder} has no encoder, or this observation cannot be "
        f"encoded in one pass; leave search at 'refine', or train with --encoder on."
    )


@torch.no_grad()
def _one_pass(encoder: Encoder, x: Tensor, mask: Tensor | None) -> Tensor:
    return torch.cat([encoder(part, of_part) for part, of_part in _parts(x, mask)])


def _encode_once(run: Run, encoder: Encoder, x: Tensor, mask: Tensor | None) -> Inversion:
    x, mask = _checked(run, encoder, x, mask)
    with torch.no_grad(), frozen_decoder(run.decoder, run.settings.precision) as decoder:
        codes = _one_pass(encoder, x, mask)
        examples = torch.cat(list(decoder.batches(codes)))
        residuals = MSELoss()(examples, x, mask)
    codes, examples, residuals = codes.cpu(), examples.cpu(), residuals.cpu()
    return Inversion(
        codes=codes,
        reconstructions=examples,
        residuals=residuals,
        steps=torch.ones(len(x), dtype=torch.int64),
        converged=residuals <= _worst_error(run),
        solutions=codes.unsqueeze(1),
        solution_residuals=residuals.unsqueeze(1),
        mean=examples,
        std=torch.zeros_like(examples),
    )


def _encode_short(
    run: Run,
    encoder: Encoder,
    x: Tensor,
    initial_codes: InitialCodes,
    mask: Tensor | None,
    options: InversionOptions,
    callback: InversionCallback | None,
) -> Inversion:
    """Search from corrected codes of the encoder, and in full for what they do not explain."""
    x, mask = _checked(run, encoder, x, mask)
    loss = options.loss or MSELoss()
    with frozen_decoder(run.decoder, run.settings.precision) as decoder:
        codes = [
            corrected_codes(encoder, decoder, part, of_part, loss, steps=_CORRECTIONS)
            for part, of_part in _parts(x, mask)
        ]
    start = SearchStart(codes=torch.cat(codes), inverse_hessian=encoder.inverse_hessian)
    search = partial(invert, run.decoder, initial_codes=initial_codes, callback=callback)
    short = replace(options, max_steps=_SHORT_STEPS)
    result: Inversion = search(x, mask=mask, start=start, options=short)
    explained = result.residuals <= _worst_error(run)
    result = replace(result, converged=result.converged | explained)
    if bool(explained.all()):
        return result
    rows = (~explained).nonzero()[:, 0]
    part = mask if mask is None or len(mask) == 1 else mask[rows]
    return result.better_of(search(x[rows], mask=part, options=options), rows)


def _worst_error(run: Run) -> float:
    """Return the highest error of a training example, or infinity if it is not recorded."""
    worst = (run.summary or {}).get("worst_mse")
    return math.inf if worst is None else float(worst)


def _checked(
    run: Run, encoder: Encoder, x: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return examples, zero where hidden, and their mask, on the device of the encoder."""
    device = encoder.mean.device
    check_target(x, run.data.shape, None)
    mask = check_mask(x, mask, images=run.is_images)
    x = x.detach().float()
    if mask is not None:
        x, mask = torch.where(mask > 0, x, torch.zeros_like(x)).to(device), mask.to(device)
    return x.to(device), mask


def _parts(x: Tensor, mask: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    for first in range(0, len(x), _ENCODED):
        part = slice(first, first + _ENCODED)
        yield x[part], mask if mask is None or len(mask) == 1 else mask[part]


@with_torch_defaults
def encode_batches(
    run: Run,
    rows: Tensor,
    load: Callable[[Tensor], tuple[Tensor, Tensor | None]],
    initial_codes: InitialCodes,
    *,
    operator: Operator | None = None,
    noise: float | None = None,
    n_solutions: int = 1,
    search: SearchKind = "refine",
    name: str = "searching codes",
    callback: ProgressCallback | None = None,
) -> Iterator[EncodedBatch]:
    """Search for the codes of rows, whose observations and mask `load` returns, in batches.

    The results of a batch fit the memory. `callback` receives `name`, the equivalent number of
    encoded rows, and the number of rows after each decoding.
    """
    n, done = len(rows), 0

    def report(progress: InversionProgress) -> None:
        if callback is not None:
            callback(name, int(done + progress.fraction * len(part)), n)

    for part in rows.split(batch_rows(n_solutions)):
        x, mask = load(part)
        inversion = encode(
            run,
            x,
            initial_codes,
            mask=mask,
            operator=operator,
            noise=noise,
            n_solutions=n_solutions,
            search=search,
            callback=report,
        )
        yield EncodedBatch(rows=part, target=x, mask=mask, inversion=inversion)
        done += len(part)
        if callback is not None:
            callback(name, done, n)


@with_torch_defaults
def encode_dataset(
    run: Run,
    dataset: Dataset,
    initial_codes: InitialCodes,
    *,
    rows: Tensor | None = None,
    search: SearchKind = "refine",
    callback: ProgressCallback | None = None,
) -> Iterator[EncodedBatch]:
    """Search for the codes of rows of a dataset, or of all, with missing values hidden."""
    dataset = run.standardize(dataset)
    rows = torch.arange(len(dataset)) if rows is None else rows
    return encode_batches(
        run,
        rows,
        lambda part: (dataset.batch(part), dataset.observed(part)),
        initial_codes,
        search=search,
        callback=callback,
    )


def batch_rows(n_solutions: int = 1) -> int:
    """Return the number of rows that are searched at a time."""
    # The search itself refuses 0 solutions.
    return max(64, _CHUNK // max(1, n_solutions))


def _noise(run: Run, initial_codes: InitialCodes) -> float:
    error = math.sqrt((run.summary or {}).get("mse", 0.0))
    return max(_MIN_NOISE * initial_codes.examples_spread, 1e-6, _ERROR_FACTOR * error)
