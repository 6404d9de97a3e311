"""Learning-rate schedules: a warm-up, then a fall to zero or a constant rate."""

import math

from glo.config.settings import Settings


def linear(step: int, total: int) -> float:
    """Return the linear factor at `step` = 0, ..., `total` - 1: from 1 down to near 0.

    Reference:
        Defazio, Cutkosky, Mehta and Mishchenko, "Optimal linear decay learning rate schedules and
        further refinements", 2023.
    """
    return 1 - step / total


def cosine(step: int, total: int) -> float:
    """Return the cosine factor at `step` = 0, ..., `total` - 1: from 1 down to near 0."""
    return 0.5 * (1 + math.cos(math.pi * step / total))


def lr_factor(step: int, total: int, settings: Settings) -> float:
    """Return the learning rates' share of their peak at a step: warm-up, then the schedule.

    Example:
        >>> [lr_factor(s, 4, Settings()) for s in range(4)]
        [1.0, 0.75, 0.5, 0.25]
    """
    falls = {"linear": linear, "cosine": cosine}
    fall = falls.get(settings.schedule)
    factor = 1.0 if fall is None else fall(step, total)
    warmup = settings.warmup * total
    return factor * min(1.0, (step + 1) / warmup) if warmup > 0 else factor
