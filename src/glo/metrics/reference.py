"""Distances that say what they were measured with, and what real examples would get."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from glo.errors import UserError
from glo.features.base import check_features
from glo.metrics.fid_kid import frechet_distance, kernel_distance
from glo.metrics.memorisation import CopyTest, Memorisation
from glo.metrics.prdc import PRDC, precision_recall_density_coverage
from glo.utils.row_ranges import evenly_spaced

__all__ = ["Distance", "Reference"]


@final
@dataclass(frozen=True, kw_only=True)
class Distance:
    """A distance between samples and held-out examples, with all one needs to compare it.

    Example:
        >>> print(
        ...     Distance(
        ...         measure="FD",
        ...         value=7.31,
        ...         floor=1.52,
        ...         features="digits",
        ...         dim=128,
        ...         n=10000,
        ...         n_heldout=10000,
        ...     )
        ... )
        FD 7.31 (floor 1.52; digits, 10,000 against 10,000)
    """

    measure: str
    """"FD" or "KD"."""
    value: float
    floor: float
    """The same distance with as many training examples in the place of the samples."""
    features: str
    dim: int
    n: int
    n_heldout: int
    spread: float | None = None
    """Of a KD: standard deviation over its subsets."""

    @property
    def warning(self) -> str | None:
        """One sentence if there are too few rows for the covariance, else None."""
        least = min(self.n, self.n_heldout)
        if self.measure != "FD" or least >= self.dim:
            return None
        return (
            f"{least:,} examples are fewer than the {self.dim:,} features of {self.features}: "
            "their covariance is singular and the FD is far too large. Take more examples, or "
            "trust the KD."
        )

    def __str__(self) -> str:
        against = f"{self.n:,} against {self.n_heldout:,}"
        return (
            f"{self.measure} {self.value:.3g} (floor {self.floor:.3g}; {self.features}, {against})"
        )


@final
class Reference:
    """Hold the features of real examples, and measure samples against them.

    The floor of a measure is what training examples get in the place of the samples, as many of
    them, evenly spaced. No model of the training set can be expected to do better.

    Give all rows in a random order, such as `randperm`: that of data means something, and evenly
    spaced rows can be of one kind alone (every other training digit of MNIST has another source),
    so that the floor comes out too high.

    Args:
        features: name of the features, stated with every figure.
        heldout: (n, d), features of held-out examples.
        training: (N, d), features of training examples; all of them, for memorisation.

    Raises:
        UserError: shapes do not fit, fewer than two rows, or NaN.

    Example:
        >>> import torch
        >>> draw = torch.Generator().manual_seed(0)
        >>> heldout, training = torch.randn(2, 400, 2, generator=draw)
        >>> measure = Reference("plane", heldout=heldout, training=training)
        >>> distance = measure.frechet(torch.randn(200, 2, generator=draw) + 1)
        >>> distance.n, distance.n_heldout, distance.value > 10 * distance.floor
        (200, 400, True)
    """

    def __init__(self, features: str, *, heldout: Tensor, training: Tensor) -> None:
        check_features(heldout, training)
        self.features = features
        self.heldout = heldout
        self.training = training
        self._copies = CopyTest(training, heldout, features=features)
        self._floors: dict[int, tuple[float, float]] = {}
        self._floor_neighbours: dict[tuple[int, int], PRDC] = {}

    def frechet(self, samples: Tensor) -> Distance:
        """Return the Fréchet distance of samples, (m, d), to the held-out examples."""
        value = frechet_distance(samples, self.heldout)
        return self._distance("FD", samples, value, self._floor(len(samples))[0], None)

    def kernel(self, samples: Tensor) -> Distance:
        """Return the kernel distance of samples, (m, d), to the held-out examples."""
        value, spread = kernel_distance(samples, self.heldout)
        return self._distance("KD", samples, value, self._floor(len(samples))[1], spread)

    def neighbours(self, samples: Tensor, *, k: int = 5) -> PRDC:
        """Return precision, recall, density and coverage of samples, (m, d)."""
        return precision_recall_density_coverage(self.heldout, samples, k=k)

    def floor_neighbours(self, n: int, *, k: int = 5) -> PRDC:
        """Return what `n` training examples get in the place of the samples."""
        if (n, k) not in self._floor_neighbours:
            self._floor_neighbours[n, k] = self.neighbours(self._stand_in(n), k=k)
        return self._floor_neighbours[n, k]

    def memorisation(self, samples: Tensor) -> Memorisation:
        """Return whether samples, (m, d), are copies of training examples."""
        return self._copies(samples)

    def _floor(self, n: int) -> tuple[float, float]:
        if n not in self._floors:
            real = self._stand_in(n)
            fd, kd = frechet_distance(real, self.heldout), kernel_distance(real, self.heldout)[0]
            self._floors[n] = fd, kd
        return self._floors[n]

    def _stand_in(self, n: int) -> Tensor:
        if n > len(self.training):
            raise UserError(
                f"{n:,} samples are more than the {len(self.training):,} training examples, so "
                "their floor is unknown; measure at most as many."
            )
        return self.training[evenly_spaced(len(self.training), n)]

    def _distance(
        self, measure: str, samples: Tensor, value: float, floor: float, spread: float | None
    ) -> Distance:
        return Distance(
            measure=measure,
            value=value,
            floor=floor,
            features=self.features,
            dim=samples.shape[1],
            n=len(samples),
            n_heldout=len(self.heldout),
            spread=spread,
        )
