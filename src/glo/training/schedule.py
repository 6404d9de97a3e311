"""Learning-rate schedule: warm-up, then cosine or constant."""

import math

from glo.config.settings import Settings

__all__ = ["lr_factor"]


def lr_factor(step: int, total: int, settings: Settings) -> float:
    """Return the learning rates' share of their peak at a step: warm-up, then the schedule.

    Example:
        >>> [round(lr_factor(s, 4, Settings()), 3) for s in range(4)]
        [1.0, 0.854, 0.5, 0.146]
    """
    factor = 1.0
    if settings.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * step / total))
    rising = settings.warmup * total
    return factor * min(1.0, (step + 1) / rising) if rising > 0 else factor
