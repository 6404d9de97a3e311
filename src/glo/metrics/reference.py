"""Reference set of held-out examples: distances of samples to it, each with its floor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from glo.errors import UserError
from glo.features.base import check_features
from glo.metrics.fid_kid import frechet_distance, kernel_distance
from glo.metrics.prdc import PRDC, precision_recall_density_coverage
from glo.utils.row_ranges import evenly_spaced

__all__ = ["Distance", "Reference"]


@final
@dataclass(frozen=True, kw_only=True)
class Distance:
    """A distance of samples to held-out examples, with the conditions under which it compares.

    Attributes:
        measure: "FD" or "KD".
        value: the distance.
        floor: the same distance of as many training examples in the place of the samples.
        features: name of the features.
        dim: d, length of a feature vector.
        n: number of samples.
        n_heldout: number of held-out examples.
        spread: standard deviation of a KD over its subsets, None for an FD.

    Example:
        >>> distance = Distance(
        ...     measure="FD", value=7.31, floor=1.52, features="digits", dim=128, n=10, n_heldout=20
        ... )
        >>> print(distance)
        FD 7.31 (floor 1.52; digits, 10 against 20)
    """

    measure: str
    value: float
    floor: float
    features: str
    dim: int
    n: int
    n_heldout: int
    spread: float | None = None

    def __str__(self) -> str:
        against = f"{self.n:,} against {self.n_heldout:,}"
        return (
            f"{self.measure} {self.value:.3g} (floor {self.floor:.3g}; {self.features}, {against})"
        )


@final
class Reference:
    """Compare samples with the features of held-out examples.

    The floor of a measure is its value for as many training examples, evenly spaced, in the place
    of the samples; no model of the training set can be expected to do better. Pass all rows in a
    random order, such as `randperm`: evenly spaced rows of ordered data can be of one kind (every
    other training digit of MNIST has another source), and the floor is then too high.

    Args:
        features: name of the features, stated with every figure.
        heldout: (n, d), features of held-out examples.
        training: (N, d), features of training examples.

    Raises:
        UserError: shapes do not fit, fewer than two rows, or NaN.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> heldout, training = torch.randn(2, 400, 2, generator=generator)
        >>> reference = Reference("plane", heldout=heldout, training=training)
        >>> distance = reference.frechet(torch.randn(200, 2, generator=generator) + 1)
        >>> distance.n, distance.n_heldout, distance.value > 10 * distance.floor
        (200, 400, True)
    """

    def __init__(self, features: str, *, heldout: Tensor, training: Tensor) -> None:
        check_features(heldout, training)
        self.features = features
        self.heldout = heldout
        self.training = training
        self._floors: dict[tuple[Any, ...], Any] = {}

    def frechet(self, samples: Tensor) -> Distance:
        """Return the Fréchet distance of samples, (m, d), to the held-out examples."""

        def measure(rows: Tensor) -> tuple[float, None]:
            return frechet_distance(rows, self.heldout), None

        return self._distance("FD", samples, measure)

    def kernel(self, samples: Tensor) -> Distance:
        """Return the kernel distance of samples, (m, d), to the held-out examples."""
        return self._distance("KD", samples, lambda rows: kernel_distance(rows, self.heldout))

    def prdc(self, samples: Tensor, *, k: int = 5) -> PRDC:
        """Return precision, recall, density and coverage of samples, (m, d)."""
        return precision_recall_density_coverage(self.heldout, samples, k=k)

    def prdc_floor(self, n: int, *, k: int = 5) -> PRDC:
        """Return the same of `n` training examples in the place of the samples."""
        floor: PRDC = self._floor(("PRDC", n, k), n, lambda rows: self.prdc(rows, k=k))
        return floor

    def warnings(self, n: int) -> list[str]:
        """Return one sentence if `n` samples are too few for the covariance, else none."""
        rows, dim = min(n, len(self.heldout)), self.heldout.shape[1]
        if rows >= dim:
            return []
        return [
            f"{rows:,} examples are fewer than the {dim:,} features of {self.features}: their "
            "covariance is singular and the FD is far too large. Take more examples, or trust the "
            "KD."
        ]

    def _floor(self, key: tuple[Any, ...], n: int, measure: Callable[[Tensor], Any]) -> Any:
        if n > len(self.training):
            raise UserError(
                f"{n:,} samples are more than the {len(self.training):,} training examples, so "
                "their floor is unknown; measure at most as many."
            )
        if key not in self._floors:
            self._floors[key] = measure(self.training[evenly_spaced(len(self.training), n)])
        return self._floors[key]

    def _distance(
        self, name: str, samples: Tensor, measure: Callable[[Tensor], tuple[float, float | None]]
    ) -> Distance:
        value, spread = measure(samples)
        return Distance(
            measure=name,
            value=value,
            floor=self._floor((name, len(samples)), len(samples), measure)[0],
            features=self.features,
            dim=samples.shape[1],
            n=len(samples),
            n_heldout=len(self.heldout),
            spread=spread,
        )
