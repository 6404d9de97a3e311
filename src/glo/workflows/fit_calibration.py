"""Calibration examples of a run: residuals and codes as unseen examples have them.

Decoder and codes are fitted to the training examples, so an unseen example has a higher residual
and a less likely code. Examples that were held out of training are unseen. Without them the
training of a copy of the decoder continues for some steps without some rows, which are then
searched like unseen examples; rows that took part give the change of the level. After a short
training the weights of the copy are first mixed with noise, without which half of the fit to these
rows would stay (Ash and Adams, "On warm-starting neural network training", NeurIPS 2020).
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders import Decoder
from glo.inversion import InitialCodes, decode_initial_codes
from glo.latents.table import LatentCodes
from glo.runs.reconstruction_errors import write_calibration
from glo.runs.run import Run
from glo.training.evaluation import recompute_batchnorm_stats
from glo.training.loop import train
from glo.training.state import TrainState
from glo.utils.device import find_device
from glo.utils.random import permutation
from glo.utils.torch_defaults import with_torch_defaults
from glo.workflows.encode import encode_batches

__all__ = ["fit_calibration"]

# Fewer rows give no percentiles. Calibration rows and, for the level, rows that took part.
_MIN_ROWS, _MAX_ROWS, _MAX_CONTROLS = 100, 1000, 256
# Share of the steps of the run, and the multiple of its learning rate. The more examples the less
# of them a decoder memorizes, so fewer steps suffice, from `_MANY` on.
_STEPS_SHARE, _LR_FACTOR, _MANY = 0.5, 2.0, 10_000
_MIN_STEPS, _STEPS_OF_MANY, _MAX_STEPS = 20, 100, 500
# Share of the weights that stays where at least `_NOISY_SHARE` of the steps are repeated.
_KEPT, _NOISY_SHARE = 0.7, 0.1
# A copy that memorizes more than the run fits the rows that took part better, not unseen ones.
_MAX_LEVEL = 1.25
_MAX_BYTES = 2**28
# Number of the epoch whose order chooses the rows.
_AFTER_TRAINING = 2**31


@with_torch_defaults
def fit_calibration(
    run: Run,
    samples: Dataset,
    held_out: Dataset | None = None,
    *,
    callback: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Store residuals and codes of up to 1,000 calibration examples, unless the run is too small.

    Args:
        run: finished run, with its summary.
        samples: training examples, (N, *shape), standardized.
        held_out: examples held out of training, standardized; None: rows of `samples`.
        callback: function of the share of the steps that are made; it may raise to stop.

    Returns:
        for the summary: number of calibration examples, and seconds; empty without any.
    """
    start = time.perf_counter()
    run.decoder.to(find_device(run.settings.device))
    if held_out is not None and len(held_out) >= _MIN_ROWS:
        initial = _decoded(run, run.codes)
        rows = permutation(len(held_out), run.settings.seed, _AFTER_TRAINING)[:_MAX_ROWS]
        residuals, codes = _search(run, held_out, rows, initial)
    elif len(samples) >= _MIN_ROWS:
        residuals, codes = _left_out(run, samples, callback)
    else:
        return {}
    write_calibration(run.folder, residuals, codes)
    callback(1.0)
    seconds = time.perf_counter() - start
    return {"calibration_examples": len(residuals), "calibration_seconds": seconds}


def _left_out(
    run: Run, samples: Dataset, callback: Callable[[float], None]
) -> tuple[Tensor, Tensor]:
    """Return residuals and codes of rows that the last steps of the training left out."""
    settings, n = run.settings, len(samples)
    order = permutation(n, settings.seed, _AFTER_TRAINING)
    total = settings.steps_per_epoch(n) * settings.epochs_for(n)
    n_steps = _step_count(total, n)
    left_out, others = order[: min(n // 5, _MAX_ROWS)], order[min(n // 5, _MAX_ROWS) :]
    size = max(samples.batch(order[:1]).numel(), 1)
    others = others[: min(n_steps * settings.batch_size, max(_MAX_ROWS, _MAX_BYTES // size))]
    controls = others[:_MAX_CONTROLS]
    initial = run.codes[others]

    before, _ = _search(run, samples, controls, _decoded(run, initial))
    part = replace(
        settings,
        epochs=math.ceil(n_steps * settings.batch_size / len(others)),
        schedule="linear",
        warmup=0.0,
        decoder_lr=_LR_FACTOR * settings.decoder_lr,
        code_lr=_LR_FACTOR * settings.code_lr,
        ema_decay=0.0,
        compile=False,
        shards=None,
    )
    decoder = copy.deepcopy(run.decoder).requires_grad_(True)
    if n_steps >= _NOISY_SHARE * total:
        _mix_with_noise(decoder, settings.seed)
    state = TrainState(part, decoder, LatentCodes(initial, constraint=settings.constraint))
    for _ in train(state, samples.subset(others.numpy())):
        callback(state.step / (state.total_steps + 1))
    recompute_batchnorm_stats(state.decoder, state.codes, part)
    # The same run with another decoder.
    other = copy.copy(run)
    other.decoder = state.decoder
    searched = _decoded(other, state.codes)
    after, _ = _search(other, samples, controls, searched)
    residuals, codes = _search(other, samples, left_out, searched)
    level = (before.clamp(min=1e-30) / after.clamp(min=1e-30)).log().mean().exp()
    return residuals * level.clamp(1 / _MAX_LEVEL, _MAX_LEVEL), codes


def _step_count(total: int, n: int) -> int:
    """Return the number of steps without some rows, for a run of `total` steps on n rows."""
    most = max(_STEPS_OF_MANY, _MAX_STEPS * min(_MANY, n) // n)
    return min(max(math.ceil(_STEPS_SHARE * total), _MIN_STEPS), most)


@torch.no_grad()
def _mix_with_noise(decoder: Decoder, seed: int) -> None:
    """Shrink the weight matrices, and add noise that gives them the deviation they had."""
    generator = torch.Generator().manual_seed(seed)
    for weight in decoder.parameters():
        if weight.ndim > 1:
            noise = torch.randn(weight.shape, generator=generator).to(weight)
            weight.mul_(_KEPT).add_(noise, alpha=math.sqrt(1 - _KEPT**2) * float(weight.std()))


def _decoded(run: Run, codes: Tensor) -> InitialCodes:
    return decode_initial_codes(run.decoder, codes, precision=run.settings.precision)


def _search(
    run: Run, samples: Dataset, rows: Tensor, initial: InitialCodes
) -> tuple[Tensor, Tensor]:
    """Return residuals and codes of the rows that have a value, found by the default search."""
    observed = samples.observed(rows)
    if observed is not None:
        rows = rows[observed.flatten(1).any(1)]
    batches = encode_batches(
        run, rows, lambda part: (samples.batch(part), samples.observed(part)), initial
    )
    found = [batch.inversion for batch in batches]
    residuals = torch.cat([each.residuals.cpu() for each in found])
    return residuals, torch.cat([each.codes.cpu() for each in found])
