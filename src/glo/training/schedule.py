"""Learning-rate schedule: warm-up, then cosine or constant."""

import math

from glo.config.settings import Settings

__all__ = ["cosine", "lr_factor"]


def cosine(step: int, total: int) -> float:
    """Return the cosine schedule's factor at `step` = 0, ..., `total` - 1: from 1 down to near 0.

    Example:
        >>> cosine(0, 100), round(cosine(50, 100), 3)
        (1.0, 0.5)
    """
    return 0.5 * (1 + math.cos(math.pi * step / total))


def lr_factor(step: int, total: int, settings: Settings) -> float:
    """Return the learning rates' share of their peak at a step: warm-up, then the schedule.

    Example:
        >>> [round(lr_factor(s, 4, Settings()), 3) for s in range(4)]
        [1.0, 0.854, 0.5, 0.146]
    """
    factor = cosine(step, total) if settings.schedule == "cosine" else 1.0
    rising = settings.warmup * total
    return factor * min(1.0, (step + 1) / rising) if rising > 0 else factor
