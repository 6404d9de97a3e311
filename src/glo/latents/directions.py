"""Principal directions of codes, and walks along them."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.utils.random import permutation

# Enough codes for any number of directions, and few enough to be copied.
_MAX_CODES = 2**18


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """The mean of codes and their principal directions, by descending variance.

    Attributes:
        mean: (D,).
        components: (K, D), orthonormal rows. The number of largest magnitude in each is positive,
            so equal codes have equal directions.
        deviations: (K,), standard deviation of the codes along each.
        shares: (K,), share of the variance along each, up to 1 in all.
    """

    mean: Tensor
    components: Tensor
    deviations: Tensor
    shares: Tensor

    def __len__(self) -> int:
        return len(self.components)


def principal_directions(codes: Tensor, k: int | None = None) -> Directions:
    """Compute k principal directions (None: all) of codes (N, D), N at least 2.

    More than 262,144 codes are replaced by as many random ones of them.

    Raises:
        UserError: there are fewer than two codes, or fewer directions than k.

    Example:
        >>> line = torch.tensor([[-3.0, -4.0], [3.0, 4.0]])
        >>> directions = principal_directions(line, 1)
        >>> directions.components, directions.shares
        (tensor([[0.6000, 0.8000]]), tensor([1.]))
    """
    from sklearn.decomposition import PCA

    if codes.ndim != 2 or len(codes) < 2:
        shape = tuple(codes.shape)
        raise UserError(f"The codes have shape {shape}; directions need two or more, (N, D).")
    most = min(codes.shape)
    k = most if k is None else k
    if not 1 <= k <= most:
        raise UserError(
            f"{k} principal directions were asked for, and {len(codes):,} codes of "
            f"{codes.shape[1]} numbers have {most}; give 1 to {most}."
        )
    if len(codes) > _MAX_CODES:
        codes = codes[permutation(len(codes), 0, 0)[:_MAX_CODES].sort().values]
    # The shares of codes without variance are 0 / 0.
    with np.errstate(invalid="ignore"):
        pca = PCA(k, svd_solver="covariance_eigh").fit(codes.double().cpu().numpy())
    return Directions(
        mean=torch.from_numpy(pca.mean_).float(),
        components=torch.from_numpy(pca.components_).float(),
        deviations=torch.from_numpy(np.sqrt(pca.explained_variance_)).float(),
        shares=torch.from_numpy(np.nan_to_num(pca.explained_variance_ratio_)).float(),
    )


def walk_along(
    directions: Directions,
    number: int,
    n: int,
    *,
    reach: float = 3.0,
    about: Tensor | None = None,
    constraint: Constraint = "free",
) -> Tensor:
    """Return codes along one direction from -reach to +reach standard deviations, in even steps.

        z(t) = about + t s_k v_k,  t from -reach to reach

    Args:
        directions: directions of the codes.
        number: k, number of the direction, from 0.
        n: number of points, 2 or more; an odd number includes the middle.
        reach: end of the walk in standard deviations of the codes along the direction.
        about: (D,), middle of the walk; None: the mean.
        constraint: constraint of every point.

    Example:
        >>> directions = principal_directions(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        >>> walk_along(directions, 0, 3, reach=1.0)[2]
        tensor([1.4142, 0.0000])
    """
    if not 0 <= number < len(directions):
        raise UserError(f"There is no direction {number}; give 0 to {len(directions) - 1}.")
    if n < 2:
        raise UserError(f"n is {n}; a walk has two ends, so give 2 or more.")
    middle = directions.mean if about is None else about
    # Symmetric multipliers, so that the middle is exact.
    t = torch.linspace(-1, 1, n, dtype=torch.float64).unsqueeze(1) * reach
    step = directions.deviations[number].double() * directions.components[number].double()
    return project((middle.double() + t * step).float(), constraint)
