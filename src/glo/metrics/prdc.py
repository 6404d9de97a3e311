"""Precision, recall, density and coverage of samples (PRDC)."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.errors import UserError
from glo.features.base import check_features
from glo.latents.neighbours import distance_blocks
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["PRDC", "precision_recall_density_coverage"]


@final
@dataclass(frozen=True, kw_only=True)
class PRDC:
    """Precision, recall, density and coverage: quality and diversity as separate figures.

    Attributes:
        precision: share of fakes within the radius of some real example: realism.
        recall: share of real examples within the radius of some fake: diversity.
        density: mean number of real examples whose radius contains a fake, over k; 1 for the same
            distribution, or above.
        coverage: share of real examples with a fake in their radius; below 1 even for the same
            distribution.
        k: neighbour that defines the radius of an example in its set.
        n_real: number of real examples.
        n_fake: number of fakes.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    n_real: int
    n_fake: int


@with_torch_defaults
def precision_recall_density_coverage(real: Tensor, fake: Tensor, *, k: int = 5) -> PRDC:
    """Compute precision, recall, density and coverage from k-nearest-neighbour balls.

        R(x) = distance of x to its k-th nearest neighbour in its set
        precision = mean over fakes y of [some real x: |x - y| <= R(x)]
        recall    = mean over reals x of [some fake y: |x - y| <= R(y)]
        density   = 1/k mean over fakes y of #{real x: |x - y| <= R(x)}
        coverage  = mean over reals x of [some fake y: |x - y| <= R(x)]

    All four depend on k and on both numbers of rows: compare them with those of real examples in
    the place of the fakes.

    Args:
        real: (n, d), features of real examples, such as held-out ones.
        fake: (m, d), features of samples.
        k: neighbour that defines the radius, 1 or more.

    Raises:
        UserError: shapes do not fit, NaN, or no more than k rows.

    References:
        Kynkäänniemi, Karras, Laine, Lehtinen and Aila, "Improved precision and recall metric for
        assessing generative models" (NeurIPS 2019), equations 1 and 2.
        Naeem, Oh, Uh, Choi and Yoo, "Reliable fidelity and diversity metrics for generative models"
        (ICML 2020), equations 4 and 5.

    Example:
        >>> real = torch.arange(10.0)[:, None]
        >>> prdc = precision_recall_density_coverage(real, real[:5] + 0.1, k=1)
        >>> prdc.precision, prdc.recall, prdc.coverage
        (1.0, 0.6, 0.6)
    """
    if k < 1:
        raise UserError(f"k is {k}; it counts neighbours and must be at least 1.")
    check_features(real, fake, least=k + 1)
    # In float32 far from the origin the distances of near neighbours would be rounding errors.
    center = real.double().mean(0)
    real, fake = real.double() - center, fake.double() - center
    radius, radius_fake = _radius(real, k), _radius(fake, k)
    recalled, covered = [], []
    containing = torch.zeros(len(fake), dtype=torch.int64)
    for rows, distances in distance_blocks(real, fake):
        inside = distances <= radius[rows, None]
        containing += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distances <= radius_fake).any(1))
    return PRDC(
        precision=float((containing > 0).double().mean()),
        recall=float(torch.cat(recalled).double().mean()),
        density=float(containing.double().mean()) / k,
        coverage=float(torch.cat(covered).double().mean()),
        k=k,
        n_real=len(real),
        n_fake=len(fake),
    )


def _radius(points: Tensor, k: int) -> Tensor:
    # The nearest of all is the point itself.
    return torch.cat(
        [
            block.topk(k + 1, largest=False).values[:, k]
            for _, block in distance_blocks(points, points)
        ]
    )
