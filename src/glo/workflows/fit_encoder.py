"""Fit of the encoder of a run."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import Decoder
from glo.encoders import fit_encoder, write_encoder
from glo.priors import Prior
from glo.runs.run import ENCODER_FILE
from glo.training.factory import training_loss

__all__ = ["fit_run_encoder", "has_encoder"]

_MIN_ROWS = 2000
# Samples of the prior that the fit uses beside the examples, at most so many.
_MAX_SAMPLED = 4096


def has_encoder(settings: Settings, n: int) -> bool:
    """Return whether an encoder is fitted for a run of n examples.

    Example:
        >>> has_encoder(Settings(), 2000), has_encoder(Settings(), 500)
        (True, False)
        >>> has_encoder(Settings(encoder="on"), 500), has_encoder(Settings(encoder="off"), 2000)
        (True, False)
    """
    return n > 1 and (settings.encoder == "on" or (settings.encoder == "auto" and n >= _MIN_ROWS))


def fit_run_encoder(
    folder: Path,
    decoder: Decoder,
    codes: Tensor,
    samples: Dataset | None,
    settings: Settings,
    prior: Prior | None,
    *,
    callback: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Fit the encoder of a run, save it, and return its figures for the summary.

    Args:
        folder: folder of the run.
        decoder: trained decoder.
        codes: (N, D).
        samples: N examples; None: the decoded codes take their place.
        settings: settings of the run.
        prior: prior whose samples are further examples; None: none.
        callback: function of the share of the fit that is done.

    Returns:
        mean squared error of examples kept from the fit, encoded in one pass, and seconds.
    """
    start = time.perf_counter()
    sampled = None
    if prior is not None:
        sampled = prior.sample(min(len(codes), _MAX_SAMPLED), seed=settings.seed)
    loss = training_loss(settings)
    encoder, mse = fit_encoder(
        decoder, codes, samples, settings, loss, sampled=sampled, callback=callback
    )
    write_encoder(folder / ENCODER_FILE, encoder)
    return {"mse": mse, "seconds": time.perf_counter() - start}
