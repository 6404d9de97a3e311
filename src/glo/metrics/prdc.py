"""Whether samples look real and whether they show everything real: counts of neighbours."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.errors import UserError
from glo.features.base import check_features
from glo.metrics.pairwise import neighbour_radius, squared_blocks

__all__ = ["PRDC", "precision_recall_density_coverage"]


@final
@dataclass(frozen=True, kw_only=True)
class PRDC:
    """Four shares that say what a distance mixes: quality of samples, and variety."""

    precision: float
    """Share of fakes within reach of some real one: do they look real?"""
    recall: float
    """Share of real ones within reach of some fake: is everything there?"""
    density: float
    """How many real ones have a fake in reach, over k; 1 for the same distribution, or above."""
    coverage: float
    """Share of real ones that have a fake in reach; below 1 even for the same distribution."""
    k: int
    """Reach of an example: the distance to its k-th nearest neighbour in its own set."""
    n_real: int
    n_fake: int


def precision_recall_density_coverage(real: Tensor, fake: Tensor, *, k: int = 5) -> PRDC:
    """Count which examples lie within reach of which.

        R(x) = distance of x to its k-th nearest neighbour in its own set
        precision = mean over fakes y of [some real x: |x - y| <= R(x)]
        recall    = mean over reals x of [some fake y: |x - y| <= R(y)]
        density   = 1/k mean over fakes y of #{real x: |x - y| <= R(x)}
        coverage  = mean over reals x of [some fake y: |x - y| <= R(x)]

    All four depend on k and on both numbers of rows: compare them with those of real examples in
    the place of the fakes.

    Args:
        real: (n, d), features of real examples, such as held-out ones.
        fake: (m, d), features of samples.
        k: which neighbour sets the reach.

    Raises:
        UserError: shapes do not fit, NaN, or no more than k rows.

    References:
        Kynkäänniemi, Karras, Laine, Lehtinen and Aila, "Improved precision and recall metric for
        assessing generative models" (NeurIPS 2019), equations 1 and 2.
        Naeem, Oh, Uh, Choi and Yoo, "Reliable fidelity and diversity metrics for generative models"
        (ICML 2020), equations 4 and 5.

    Example:
        >>> real = torch.arange(10.0)[:, None]
        >>> counts = precision_recall_density_coverage(real, real[:5] + 0.1, k=1)
        >>> counts.precision, counts.recall, counts.coverage
        (1.0, 0.6, 0.6)
    """
    if k < 1:
        raise UserError(f"k is {k}; it counts neighbours and must be at least 1.")
    check_features(real, fake, least=k + 1)
    reach, reach_fake = neighbour_radius(real, k), neighbour_radius(fake, k)
    recalled, covered = [], []
    within = torch.zeros(len(fake), dtype=torch.int64)
    for rows, squared in squared_blocks(real, fake):
        near = squared <= reach[rows, None]
        within += near.sum(0)
        covered.append(near.any(1))
        recalled.append((squared <= reach_fake).any(1))
    return PRDC(
        precision=_share(within > 0),
        recall=_share(torch.cat(recalled)),
        density=float(within.double().mean()) / k,
        coverage=_share(torch.cat(covered)),
        k=k,
        n_real=len(real),
        n_fake=len(fake),
    )


def _share(true: Tensor) -> float:
    return float(true.double().mean())
