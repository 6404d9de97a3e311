"""What the settings mean for one run: its decoder, how its codes move, its rates over time."""

import math

from glo.codes import RowAdam, RowRule, RowSGD
from glo.data import Samples
from glo.errors import UserError
from glo.settings import Settings

__all__ = ["decoder_config", "rate_factor", "row_rule"]


def rate_factor(step: int, total: int, settings: Settings) -> float:
    """Return the learning rates' share of their peak at a step: warm-up, then the schedule.

    Example:
        >>> [round(rate_factor(s, 4, Settings()), 3) for s in range(4)]
        [1.0, 0.854, 0.5, 0.146]
    """
    factor = 1.0
    if settings.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * step / total))
    rising = settings.warmup * total
    return factor * min(1.0, (step + 1) / rising) if rising > 0 else factor


def decoder_config(samples: Samples, settings: Settings) -> dict[str, object]:
    """Return the configuration of the decoder that fits the data and the settings."""
    name = settings.decoder or ("dcgan" if samples.is_images else "mlp")
    if samples.is_images == (name == "mlp"):
        kind, other = ("images", "dcgan") if samples.is_images else ("vectors", "mlp")
        raise UserError(f"decoder '{name}' cannot make {kind}; use decoder '{other}'.")
    config: dict[str, object] = {
        "name": name,
        "code_dim": settings.code_dim,
        "shape": list(samples.shape),
    }
    if name == "dcgan":
        config["width"] = settings.width
    elif name == "mlp":
        config["hidden"] = [4 * settings.width] * 2
    return config


def row_rule(settings: Settings) -> RowRule:
    """Return how a code moves under these settings."""
    return RowSGD() if settings.code_optimizer == "sgd" else RowAdam(settings.code_betas)
