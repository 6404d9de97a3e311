"""Learning-rate schedule: warm-up, then cosine or constant."""

import math

from glo.config.settings import Settings


def cosine(step: int, total: int) -> float:
    """Return the cosine factor at `step` = 0, ..., `total` - 1: from 1 down to near 0."""
    return 0.5 * (1 + math.cos(math.pi * step / total))


def lr_factor(step: int, total: int, settings: Settings) -> float:
    """Return the learning rates' share of their peak at a step: warm-up, then the schedule.

    Example:
        >>> [round(lr_factor(s, 4, Settings()), 3) for s in range(4)]
        [1.0, 0.854, 0.5, 0.146]
    """
    factor = cosine(step, total) if settings.schedule == "cosine" else 1.0
    warmup = settings.warmup * total
    return factor * min(1.0, (step + 1) / warmup) if warmup > 0 else factor
