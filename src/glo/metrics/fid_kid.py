"""Fréchet distance (FID) and kernel distance (KID) of two sets of features."""

import warnings
from typing import final

import torch
from torch import Tensor, nn

from glo.features.base import check_features
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["frechet_distance", "kernel_distance"]

_SUBSETS = 100
_SUBSET_SIZE = 1000


@with_torch_defaults
def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Return the Fréchet distance of the two Gaussians with the sets' means and covariances.

        FD = |mu_a - mu_b|^2 + trace(S_a + S_b - 2 (S_a S_b)^(1/2))

    It is squared, as everywhere in the literature. With few rows it is biased upwards, by an amount
    that depends on the features: compare only distances with the same features and the same
    numbers of rows, and with the floor.

    Args:
        a: (n, d), features of one set.
        b: (m, d), features of the other.

    Returns:
        0 or more, computed in double precision.

    Raises:
        UserError: shapes do not fit, fewer than two rows, or NaN.

    Reference:
        Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, "GANs trained by a two time-scale
        update rule converge to a local Nash equilibrium" (NIPS 2017), equation 6.

    Example:
        >>> a = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> round(frechet_distance(a, a + 3.0), 6)
        18.0
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    check_features(a, b)
    metric = FrechetInceptionDistance(feature=_Identity(a.shape[1])).set_dtype(torch.float64)
    # Centering changes the rounding only: sums of squares about a far mean would cancel.
    center = a.double().mean(0)
    metric.update(a.double() - center, real=True)
    metric.update(b.double() - center, real=False)
    return max(0.0, float(metric.compute()))


@with_torch_defaults
def kernel_distance(a: Tensor, b: Tensor, *, seed: int = 0) -> tuple[float, float]:
    """Return the kernel distance, the squared maximum mean discrepancy, and its spread.

        KD = E k(x, x') + E k(y, y') - 2 E k(x, y), k(x, y) = (x . y / d + 1)^3

    It is unbiased: its floor is 0 for any number of rows. The result is the mean over 100 random
    subsets of 1,000 rows, or of as many as the smaller set has.

    Args:
        a: (n, d), features of one set.
        b: (m, d), features of the other.
        seed: seed of the subsets.

    Returns:
        the mean over the subsets, and their standard deviation.

    Raises:
        UserError: shapes do not fit, fewer than two rows, or NaN.

    Reference:
        Binkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs" (ICLR 2018), section 4.

    Example:
        >>> a = torch.arange(12.0).reshape(6, 2) / 10
        >>> near, far = kernel_distance(a, a + 0.1), kernel_distance(a, a + 1.0)
        >>> near[0] < far[0]
        True
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    check_features(a, b)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message=".*will save all extracted features.*")
        # The library draws from the global generator, which is restored.
        torch.default_generator.manual_seed(seed)
        size = min(_SUBSET_SIZE, len(a), len(b))
        # All subsets of all rows are the same one.
        subsets = _SUBSETS if size < max(len(a), len(b)) else 1
        metric = KernelInceptionDistance(
            feature=_Identity(a.shape[1]), subsets=subsets, subset_size=size
        )
        metric.update(a.double(), real=True)
        metric.update(b.double(), real=False)
        mean, spread = metric.compute()
    return float(mean), float(spread)


@final
class _Identity(nn.Module):
    """Feature network of torchmetrics for features that are computed already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Return the features unchanged."""
        return features
