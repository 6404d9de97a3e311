"""The principal directions of codes, and walks along them."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.utils.random import permutation

__all__ = ["Directions", "principal_directions", "walk_along"]

# Codes that are enough for any number of directions, and few enough to be copied.
_MOST = 2**18


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """The mean of codes and the directions in which they spread, the widest first.

    Attributes:
        mean: (D,).
        components: (K, D), orthonormal rows. The largest number of each, whatever its sign, is
            positive, so equal codes have equal directions.
        deviations: (K,), standard deviation of the codes along each, falling.
        shares: (K,), part of the variance that lies along each, up to 1 in all.
    """

    mean: Tensor
    components: Tensor
    deviations: Tensor
    shares: Tensor

    def __len__(self) -> int:
        return len(self.components)


def principal_directions(codes: Tensor, k: int | None = None) -> Directions:
    """Find the principal components of codes; of more than 262,144, those of so many drawn ones.

    Args:
        codes: (N, D), N at least 2.
        k: how many; None for all, min(N, D).

    Returns:
        K directions; float32.

    Raises:
        UserError: there are fewer than two codes, or fewer directions than wanted.

    Example:
        >>> line = torch.tensor([[-3.0, -4.0], [3.0, 4.0]])
        >>> found = principal_directions(line, 1)
        >>> found.components, found.shares
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
    if len(codes) > _MOST:
        codes = codes[permutation(len(codes), 0, 0)[:_MOST].sort().values]
    # Codes that are all the same have no variance to share out.
    with np.errstate(invalid="ignore"):
        fitted = PCA(k, svd_solver="covariance_eigh").fit(codes.double().cpu().numpy())
    return Directions(
        mean=torch.from_numpy(fitted.mean_).float(),
        components=torch.from_numpy(fitted.components_).float(),
        deviations=torch.from_numpy(np.sqrt(fitted.explained_variance_)).float(),
        shares=torch.from_numpy(np.nan_to_num(fitted.explained_variance_ratio_)).float(),
    )


def walk_along(
    directions: Directions,
    place: int,
    n: int,
    *,
    reach: float = 3.0,
    about: Tensor | None = None,
    constraint: Constraint = "free",
) -> Tensor:
    """Walk along one direction from -reach to +reach standard deviations, in even steps.

        z(t) = about + t s_k v_k,  t from -reach to reach

    Args:
        directions: of the codes.
        place: which one, from 0.
        n: points; an odd number has the middle among them.
        reach: how far, in standard deviations of the codes along the direction.
        about: (D,), the middle; None: the mean.
        constraint: what every point satisfies.

    Returns:
        (n, D).

    Raises:
        UserError: there is no such direction, or n is below 2.

    Example:
        >>> found = principal_directions(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        >>> walk_along(found, 0, 3, reach=1.0)
        tensor([[-1.4142,  0.0000],
                [ 0.0000,  0.0000],
                [ 1.4142,  0.0000]])
    """
    if not 0 <= place < len(directions):
        raise UserError(f"There is no direction {place}; give 0 to {len(directions) - 1}.")
    if n < 2:
        raise UserError(f"n is {n}; a walk has two ends, so give 2 or more.")
    middle = directions.mean if about is None else about
    # Exactly opposite on the two sides, so that the middle is the middle.
    times = torch.linspace(-1, 1, n, dtype=torch.float64).unsqueeze(1) * reach
    step = directions.deviations[place].double() * directions.components[place].double()
    return project((middle.double() + times * step).float(), constraint)
