"""Principal components of a data set that may be larger than memory: start and baseline in one.

The covariance is summed batch by batch, so one pass over the rows is all it takes and memory does
not grow with N. Very wide examples (more than 4,096 numbers) are too wide for that; their
components come from a randomised decomposition of a fixed, even sample of rows. Several processes
sum over their own rows, and then over each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.random import normal

__all__ = ["PCA", "Rows", "fit_pca", "pca_codes"]

_WIDEST_EXACT = 4096
_SAMPLE_ROWS = 8192
_BATCH = 2048
# Whitened codes are scaled so that this share of them lies inside the unit ball, where the
# constraint leaves them as they are.
_INSIDE = 0.95


class Rows(Protocol):
    """What is needed of a data set: its length, batches of rows, and which values are missing."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Tensor:
        """Return rows as float32, (B, ...)."""

    def observed(self, index: Tensor) -> Tensor | None:
        """Return 1 where a value is known and 0 where it is missing, or None: all known."""


@dataclass(frozen=True, kw_only=True)
class PCA:
    """The mean and the leading principal components of a data set of F numbers an example.

    Attributes:
        mean: (F,).
        components: (D, F), orthonormal rows, by falling variance.
        variances: (D,), variance of the data along each.
        mean_image_mse: error of the mean example, mean over examples and their known numbers.
        pca_mse: error of the projection on the D components, likewise.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    mean_image_mse: float
    pca_mse: float


def fit_pca(samples: Rows, dim: int, *, seed: int = 0, ranks: ProcessGroup = SINGLE_PROCESS) -> PCA:
    """Fit the mean and up to `dim` principal components to all rows.

    Missing values count as the mean of what is known of them.

    Args:
        samples: the data; with several processes this one's rows.
        dim: D, components wanted; fewer are returned when the data have fewer.
        seed: seed of the randomised decomposition of very wide examples.
        ranks: the processes that hold the rows.

    Returns:
        PCA with K = min(dim, F, N) components.

    Example:
        >>> from glo.data import Dataset
        >>> line = np.outer(np.arange(4), [3.0, 4.0]).astype("float32")
        >>> pca = fit_pca(Dataset(rows=line, name="line"), 1)
        >>> round(pca.mean_image_mse, 3), round(pca.pca_mse, 3)
        (15.625, 0.0)
    """
    n = _total(samples, ranks)
    mean = _mean(samples, ranks)
    width = len(mean)
    if width <= _WIDEST_EXACT:
        covariance = torch.zeros(width, width, dtype=torch.float64)
        for centred in _centred(samples, mean, torch.arange(len(samples))):
            covariance += (centred.T @ centred).double()
        variances, vectors = torch.linalg.eigh(ranks.all_reduce(covariance) / n)
        k = min(dim, width, n)
        variances = variances.flip(0).clamp(min=0.0)
        total, kept = float(variances.sum()), variances[:k]
        components = vectors.flip(1)[:, :k].T
    else:
        index = torch.from_numpy(np.unique(np.linspace(0, n - 1, min(n, _SAMPLE_ROWS)).astype(int)))
        own = ranks.is_local(index)
        rows = torch.zeros(len(index), width)
        parts = list(_centred(samples, mean, ranks.local_rows(index[own])))
        if parts:
            rows[own] = torch.cat(parts)
        rows = ranks.all_reduce(rows)
        k = min(dim, *rows.shape)
        _, singular, right = randomized_svd(rows.numpy(), k, random_state=seed % 2**32)
        kept = torch.from_numpy(singular).double().square() / len(rows)
        total = float(rows.double().square().sum()) / len(rows)
        components = torch.from_numpy(right)
    pca = PCA(
        mean=mean,
        components=components.float().contiguous(),
        variances=kept.float(),
        mean_image_mse=total / width,
        pca_mse=max(total - float(kept.sum()), 0.0) / width,
    )
    complete = samples.observed(torch.arange(1)) is None
    return pca if complete else _with_known_errors(pca, samples, ranks)


def pca_codes(
    samples: Rows,
    pca: PCA,
    dim: int,
    *,
    seed: int = 0,
    ranks: ProcessGroup = SINGLE_PROCESS,
    into: Tensor | None = None,
) -> Tensor:
    """Return whitened component scores of every row, scaled to lie mostly inside the unit ball.

    Whitening makes every component count alike, or the first few would fill the ball. Where the
    data have fewer components than `dim`, the codes are filled up with random numbers of the same
    spread, so that the decoder can use those directions.

    Args:
        samples: the data the components were fitted to; with several processes this one's rows.
        pca: their components.
        dim: D, length of a code.
        seed: seed of the random numbers that fill up.
        ranks: the processes that hold the rows.
        into: (N, D) to write the codes to; a new tensor when omitted.

    Returns:
        float32 (N, D); row i is the code of row i.

    Example:
        >>> from glo.data import Dataset
        >>> rows = Dataset(rows=np.eye(4, dtype="float32"), name="eye")
        >>> pca_codes(rows, fit_pca(rows, 2), 3).shape
        torch.Size([4, 3])
    """
    codes = torch.empty(len(samples), dim) if into is None else into
    # Components without variance (constant or repeated data) would divide by zero.
    scale = pca.variances.clamp(min=1e-12 * float(pca.variances.max()) + 1e-30).sqrt()
    white = (pca.components / scale.unsqueeze(1)).T
    found = white.shape[1]
    norms = torch.empty(len(codes))
    blocks = torch.arange(len(codes)).split(_BATCH)
    scored = _centred(samples, pca.mean, torch.arange(len(codes)))
    for rows, centred in zip(blocks, scored, strict=True):
        here = slice(int(rows[0]), int(rows[-1]) + 1)
        codes[here, :found] = centred @ white
        if found < dim:
            codes[here, found:] = _drawn(seed, rows, dim - found, ranks)
        norms[here] = codes[here].norm(dim=1)
    n = _total(samples, ranks)
    told = ranks.all_gather_rows(norms, torch.arange(0, n, max(1, n // 100_000)))
    radius = float(np.quantile(told.numpy(), _INSIDE))
    for rows in blocks:
        here = slice(int(rows[0]), int(rows[-1]) + 1)
        if radius > 0:
            codes[here] /= radius
        else:
            codes[here] = _drawn(seed, rows, dim, ranks) / dim**0.5
    return codes


def _drawn(seed: int, rows: Tensor, dim: int, ranks: ProcessGroup) -> Tensor:
    first = int(ranks.global_rows(rows[0]))
    return normal(seed, first, len(rows), dim, stream="codes", every=ranks.size)


def _total(samples: Rows, ranks: ProcessGroup) -> int:
    return int(ranks.all_reduce(torch.tensor([len(samples)])))


def _with_known_errors(pca: PCA, samples: Rows, ranks: ProcessGroup) -> PCA:
    # Sums over F would count every missing number as one without error, and a run, whose error is
    # a mean over known numbers, would look worse than it is.
    mean_image, projection = 0.0, 0.0
    for index in torch.arange(len(samples)).split(_BATCH):
        batch, observed = samples.batch(index), samples.observed(index)
        assert observed is not None, "asked only where something is missing"
        mask = observed.expand_as(batch).flatten(1)
        centred = (batch.flatten(1) - pca.mean) * mask
        rest = (centred - centred @ pca.components.T @ pca.components) * mask
        known = mask.sum(1).clamp(min=1.0)
        mean_image += float((centred.square().sum(1) / known).sum())
        projection += float((rest.square().sum(1) / known).sum())
    sums = ranks.all_reduce(torch.tensor([mean_image, projection], dtype=torch.float64))
    mean_image, projection = (sums / _total(samples, ranks)).tolist()
    return replace(pca, mean_image_mse=mean_image, pca_mse=projection)


def _mean(samples: Rows, ranks: ProcessGroup) -> Tensor:
    total: Tensor | float = 0.0
    known: Tensor | float = 0.0
    for index in torch.arange(len(samples)).split(_BATCH):
        rows = samples.batch(index).double()
        observed = samples.observed(index)
        mask = torch.ones_like(rows) if observed is None else observed.expand_as(rows)
        total = total + (rows * mask).sum(0)
        known = known + mask.double().sum(0)
    assert isinstance(total, Tensor), "a data set has a row"
    assert isinstance(known, Tensor), "a data set has a row"
    return (ranks.all_reduce(total) / ranks.all_reduce(known).clamp(min=1.0)).flatten().float()


def _centred(samples: Rows, mean: Tensor, rows: Tensor) -> Iterator[Tensor]:
    for index in rows.split(_BATCH):
        batch = samples.batch(index)
        observed = samples.observed(index)
        centred = batch.flatten(1) - mean
        yield centred if observed is None else centred * observed.expand_as(batch).flatten(1)
