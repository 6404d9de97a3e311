"""Memorisation test: distances of samples to the nearest training example, and C_T."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.features.base import check_features
from glo.latents.neighbours import nearest
from glo.utils.row_ranges import evenly_spaced
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["Memorisation", "MemorisationTest", "copying_score"]

# Samples that a cell needs for the normal approximation of its count.
_MIN_SAMPLES = 20
_ROWS_PER_CELL, _MAX_CELLS, _MAX_CLUSTERED = 200, 50, 10_000
# C_T of fresh examples is below this value once in a thousand times, or less.
_COPYING = -3.0
_NEAREST_QUANTILE = 0.01


@final
@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """Distances of samples and of held-out examples to the nearest training example.

    Attributes:
        features: name of the features in which distances are taken.
        n_samples: number of samples.
        n_training: number of training examples.
        n_heldout: number of held-out examples.
        samples_distance: median distance of the samples to the nearest training example.
        heldout_distance: the same of the held-out examples; copies are far below it.
        nearer_share: share of samples nearer to a training example than one held-out example in a
            hundred is; 0.01 for fresh examples.
        copying: C_T of the data-copying test: far below 0 for copies, far above 0 for underfit
            samples. Typical samples, as at a low temperature, bring it below 0 as well, but not
            `nearer_share` above 0.01. NaN with fewer than 20 samples in every cell.
        cells: regions of the data with enough samples.
    """

    features: str
    n_samples: int
    n_training: int
    n_heldout: int
    samples_distance: float
    heldout_distance: float
    nearer_share: float
    copying: float
    cells: int

    @property
    def sentence(self) -> str:
        """Interpretation of the figures in one sentence."""
        if not self.cells:
            return f"{self.n_samples:,} samples are too few to detect copies; take 1,000 or more."
        medians = f"{self.samples_distance:.3g} against {self.heldout_distance:.3g} for unseen ones"
        if self.copying < _COPYING:
            meaning = "nearer to training examples than unseen examples are; look for copies"
        elif self.copying > -_COPYING:
            meaning = "no copies; they lie further from training examples than unseen examples do"
        else:
            meaning = "as near to training examples as unseen examples are; no copies"
        return f"The samples are {meaning} (C_T {self.copying:+.1f}, median distance {medians})."


@final
class MemorisationTest:
    """Compare samples' distances to the training set with those of held-out examples.

    A copy lies nearer to a training example than a new example of the same kind does; samples of a
    perfect model have the same distances as held-out examples. Copies of training examples that are
    left out cannot be detected, so pass all of them.

    Args:
        training: (N, d), features of the training examples.
        heldout: (n, d), features of held-out examples.
        features: name of the features, stored with the figures.
        seed: seed of the cells of the test.

    Raises:
        UserError: shapes do not fit, fewer than two rows, or NaN.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> training, heldout = torch.randn(2, 500, 2, generator=generator)
        >>> result = MemorisationTest(training, heldout, features="plane")(training[:300])
        >>> result.samples_distance < 1e-6, result.nearer_share, result.copying < -3
        (True, 1.0, True)
    """

    def __init__(self, training: Tensor, heldout: Tensor, *, features: str, seed: int = 0) -> None:
        check_features(training, heldout)
        self._training, self._heldout = training, heldout
        self._features, self._seed = features, seed
        self._clusters: dict[int, Any] = {}

    @with_torch_defaults
    def __call__(self, samples: Tensor) -> Memorisation:
        """Return the figures of `samples`, (m, d)."""
        check_features(samples, self._heldout)
        distances, heldout_distances = self._distances(samples), self._heldout_distances
        clusters = self._cells(min(len(samples), len(self._heldout)) // _ROWS_PER_CELL)
        cells = [clusters.predict(part.double().numpy()) for part in (samples, self._heldout)]
        score, n_cells = copying_score(distances, heldout_distances, *cells)
        quantile = heldout_distances.quantile(_NEAREST_QUANTILE)
        return Memorisation(
            features=self._features,
            n_samples=len(samples),
            n_training=len(self._training),
            n_heldout=len(self._heldout),
            samples_distance=float(distances.median()),
            heldout_distance=float(heldout_distances.median()),
            nearer_share=float((distances < quantile).double().mean()),
            copying=score,
            cells=n_cells,
        )

    def _distances(self, rows: Tensor) -> Tensor:
        # In float32 far from the origin the distance of a copy would be a rounding error.
        center = self._training.double().mean(0)
        return nearest(rows.double() - center, self._training.double() - center)[0]

    @cached_property
    def _heldout_distances(self) -> Tensor:
        return self._distances(self._heldout)

    def _cells(self, count: int) -> Any:
        """Return k-means clusters of the training set."""
        from sklearn.cluster import KMeans

        count = max(1, min(count, _MAX_CELLS, len(self._training)))
        if count not in self._clusters:
            rows = evenly_spaced(len(self._training), min(len(self._training), _MAX_CLUSTERED))
            kmeans = KMeans(count, n_init=1, max_iter=50, random_state=self._seed)
            self._clusters[count] = kmeans.fit(self._training[rows].double().numpy())
        return self._clusters[count]


@with_torch_defaults
def copying_score(
    samples: Tensor,
    heldout: Tensor,
    sample_cells: NDArray[np.int64],
    heldout_cells: NDArray[np.int64],
) -> tuple[float, int]:
    """Return the statistic C_T of the data-copying test, and the number of cells used.

        C_T = sum over cells of P_n(cell) Z(cell) / sum over cells of P_n(cell)
        Z = (U - m n / 2) / sqrt(m n (m + n + 1) / 12)

    U counts the pairs of a sample and a held-out example in the cell in which the sample is further
    from the training set (Mann and Whitney); P_n is the share of the held-out examples. Cells with
    fewer than 20 samples are left out.

    Args:
        samples: (m,), distance of each sample to the nearest training example.
        heldout: (n,), distance of each held-out example to the nearest training example.
        sample_cells: (m,), cell of each sample.
        heldout_cells: (n,), cell of each held-out example.

    Returns:
        C_T, of mean 0 and standard deviation at most 1 for fresh examples, NaN without any cell;
        and the number of cells used.

    Reference:
        Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect data-copying in generative
        models" (AISTATS 2020), section 4.2.

    Example:
        >>> near, far = torch.zeros(100), torch.ones(100)
        >>> cells = np.zeros(100, np.int64)
        >>> score, n_cells = copying_score(near, far, cells, cells)
        >>> round(score, 1), n_cells
        (-12.2, 1)
    """
    from scipy.stats import mannwhitneyu

    scores, weights = [], []
    for cell in np.unique(heldout_cells):
        x = samples[torch.from_numpy(sample_cells == cell)].numpy()
        y = heldout[torch.from_numpy(heldout_cells == cell)].numpy()
        if len(x) < _MIN_SAMPLES:
            continue
        pairs = len(x) * len(y)
        u = float(mannwhitneyu(x, y, method="asymptotic").statistic)
        scores.append((u - pairs / 2) / (pairs * (len(x) + len(y) + 1) / 12) ** 0.5)
        weights.append(len(y))
    if not scores:
        return float("nan"), 0
    return float(np.average(scores, weights=weights)), len(scores)
