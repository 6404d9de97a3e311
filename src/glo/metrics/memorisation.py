"""Whether samples are copies of training examples: distances to the nearest, and a test."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.features.base import check_features
from glo.metrics.pairwise import nearest_distance
from glo.utils.row_ranges import evenly_spaced

__all__ = ["CopyTest", "Memorisation", "copying_score"]

# A cell needs so many samples for the normal approximation of its count.
_LEAST_SAMPLES = 20
_ROWS_PER_CELL = 200
_MOST_CELLS = 50
_CLUSTERED = 10_000
# Fresh examples come this far by chance once in a thousand times, or less.
_COPIES = -3.0
_NEAREST_SHARE = 0.01


@final
@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """Samples and held-out examples, each with its distance to the nearest training example."""

    features: str
    """Name of the features in which distances were taken."""
    n_samples: int
    n_training: int
    n_heldout: int
    samples_distance: float
    """Median over the samples of the distance to the nearest training example."""
    heldout_distance: float
    """The same over the held-out examples; copies are far below it."""
    nearer_share: float
    """Share of samples nearer to a training example than one held-out example in a hundred is."""
    copying: float
    """C_T of the data-copying test: far below 0 copies, about 0 neither, far above 0 underfit.

    Samples that are all too typical, as at a low temperature, bring it below 0 as well; copies also
    bring `nearer_share` far above 0.01. NaN with fewer than 20 samples in every cell.
    """
    cells: int
    """Regions of the data that the test looked at, each with enough samples."""

    @property
    def sentence(self) -> str:
        """What the figures mean, in one sentence."""
        if not self.cells:
            return f"{self.n_samples:,} samples are too few to tell copies; take 1,000 or more."
        near = f"{self.samples_distance:.3g} against {self.heldout_distance:.3g} for unseen ones"
        if self.copying < _COPIES:
            meaning = "nearer to training examples than unseen examples are; look for copies"
        elif self.copying > -_COPIES:
            meaning = "no copies; they lie further from training examples than unseen examples do"
        else:
            meaning = "as near to training examples as unseen examples are; no copies"
        return f"The samples are {meaning} (C_T {self.copying:+.1f}, median distance {near})."


@final
class CopyTest:
    """Compare samples' distances to the training set with those of held-out examples.

    A copy lies nearer to a training example than a new example of the same kind would. So the
    held-out examples are the measure: samples of a perfect model have the same distances as they.
    Give as many training examples as there are; those left out cannot be found as copied.

    Args:
        training: (N, d), features of the training examples.
        heldout: (n, d), features of held-out examples.
        features: name of the features, kept with the figures.
        seed: of the cells of the test.

    Raises:
        UserError: shapes do not fit, fewer than two rows, or NaN.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> training, heldout = torch.randn(2, 500, 2, generator=draw)
        >>> found = CopyTest(training, heldout, features="plane")(training[:300])
        >>> found.samples_distance, found.nearer_share, found.copying < -3
        (0.0, 1.0, True)
    """

    def __init__(self, training: Tensor, heldout: Tensor, *, features: str, seed: int = 0) -> None:
        check_features(training, heldout)
        self._training, self._heldout = training, heldout
        self._features, self._seed = features, seed
        self._means: dict[int, Any] = {}

    def __call__(self, samples: Tensor) -> Memorisation:
        """Return the figures of `samples`, (m, d)."""
        check_features(samples, self._heldout)
        own = nearest_distance(samples, self._training)
        means = self._cells(min(len(samples), len(self._heldout)) // _ROWS_PER_CELL)
        cells = [means.predict(part.double().numpy()) for part in (samples, self._heldout)]
        score, used = copying_score(own, self._unseen, *cells)
        nearest = self._unseen.quantile(_NEAREST_SHARE)
        return Memorisation(
            features=self._features,
            n_samples=len(samples),
            n_training=len(self._training),
            n_heldout=len(self._heldout),
            samples_distance=float(own.median()),
            heldout_distance=float(self._unseen.median()),
            nearer_share=float((own < nearest).double().mean()),
            copying=score,
            cells=used,
        )

    @cached_property
    def _unseen(self) -> Tensor:
        return nearest_distance(self._heldout, self._training)

    def _cells(self, count: int) -> Any:
        """Divide the space into the cells of k means of the training set."""
        from sklearn.cluster import KMeans

        count = max(1, min(count, _MOST_CELLS, len(self._training)))
        if count not in self._means:
            rows = evenly_spaced(len(self._training), min(len(self._training), _CLUSTERED))
            means = KMeans(count, n_init=1, max_iter=50, random_state=self._seed)
            self._means[count] = means.fit(self._training[rows].double().numpy())
        return self._means[count]


def copying_score(
    samples: Tensor,
    heldout: Tensor,
    sample_cells: NDArray[np.int64],
    heldout_cells: NDArray[np.int64],
) -> tuple[float, int]:
    """Return the statistic C_T of the data-copying test, and how many cells it rests on.

        C_T = sum over cells of P_n(cell) Z(cell) / sum over cells of P_n(cell)
        Z = (U - m n / 2) / sqrt(m n (m + n + 1) / 12)

    U counts the pairs of a sample and a held-out example in the cell in which the sample is the one
    further from the training set (Mann and Whitney); P_n is the share of the held-out examples.
    Cells with fewer than 20 samples do not count.

    Args:
        samples: (m,), distance of each sample to the nearest training example.
        heldout: (n,), distance of each held-out example to the nearest training example.
        sample_cells: (m,), the cell of each sample.
        heldout_cells: (n,), the cell of each held-out example.

    Returns:
        C_T, which has mean 0 and deviation at most 1 for fresh examples, NaN without any cell;
        and the number of cells that count.

    Reference:
        Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect data-copying in generative
        models" (AISTATS 2020), section 4.2.

    Example:
        >>> near, far = torch.zeros(100), torch.ones(100)
        >>> here = np.zeros(100, np.int64)
        >>> score, cells = copying_score(near, far, here, here)
        >>> round(score, 1), cells
        (-12.2, 1)
    """
    from scipy.stats import mannwhitneyu

    scores, weights = [], []
    for cell in np.unique(heldout_cells):
        own = samples[torch.from_numpy(sample_cells == cell)].numpy()
        unseen = heldout[torch.from_numpy(heldout_cells == cell)].numpy()
        if len(own) < _LEAST_SAMPLES:
            continue
        pairs = len(own) * len(unseen)
        further = float(mannwhitneyu(own, unseen, method="asymptotic").statistic)
        deviation = (pairs * (len(own) + len(unseen) + 1) / 12) ** 0.5
        scores.append((further - pairs / 2) / deviation)
        weights.append(len(unseen))
    if not scores:
        return float("nan"), 0
    return float(np.average(scores, weights=weights)), len(scores)
