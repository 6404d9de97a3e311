"""Initial codes by principal component analysis (PCA), also the baseline of a run.

The covariance is summed in one pass over batches of rows, so the memory is independent of N. The
components of very wide examples (more than 4,096 numbers) come from a randomized decomposition of a
fixed, even sample of rows. Several processes sum over their local rows, and then all-reduce.
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
from glo.utils.torch_defaults import with_torch_defaults

_MAX_EXACT_WIDTH = 4096
_SAMPLE_ROWS = 8192
_BATCH = 2048
# Whitened codes are scaled so that this share of them lies inside the unit ball, where the
# constraint leaves them unchanged.
_INSIDE = 0.95
_MAX_NORMS = 100_000


class MaskedDataset(Protocol):
    """Dataset of N examples with random access to batches, such as `glo.Dataset`."""

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> Tensor:
        """Return examples by row, float32 (B, ...)."""

    def observed(self, rows: Tensor) -> Tensor | None:
        """Return 1 where a value is known and 0 where it is missing, or None: all known."""


@dataclass(frozen=True, kw_only=True)
class PCA:
    """The mean and the leading principal components of a dataset of F numbers per example.

    Attributes:
        mean: (F,).
        components: (D, F), orthonormal rows, by descending variance.
        variances: (D,), variance of the data along each.
        mean_image_mse: error of the mean example, mean over examples and their known numbers.
        pca_mse: error of the projection on the D components, likewise.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    mean_image_mse: float
    pca_mse: float


def fit_pca(
    dataset: MaskedDataset, dim: int, *, seed: int = 0, ranks: ProcessGroup = SINGLE_PROCESS
) -> PCA:
    """Fit the mean and min(dim, F, N) principal components to the rows of all processes.

    Missing values are replaced by the mean of the known ones. `seed` is that of the randomized
    decomposition of very wide examples.

    Example:
        >>> from glo.data import Dataset
        >>> line = np.outer(np.arange(4), [3.0, 4.0]).astype("float32")
        >>> pca = fit_pca(Dataset(rows=line, name="line"), 1)
        >>> round(pca.mean_image_mse, 3), round(pca.pca_mse, 3)
        (15.625, 0.0)
    """
    n = _total(dataset, ranks)
    mean = _mean(dataset, ranks)
    width = len(mean)
    if width <= _MAX_EXACT_WIDTH:
        covariance = torch.zeros(width, width, dtype=torch.float64)
        for centered, _ in _centred(dataset, mean):
            covariance += (centered.T @ centered).double()
        variances, vectors = torch.linalg.eigh(ranks.all_reduce(covariance) / n)
        k = min(dim, width, n)
        variances = variances.flip(0).clamp(min=0.0)
        total, leading = float(variances.sum()), variances[:k]
        components = vectors.flip(1)[:, :k].T
    else:
        sample = torch.from_numpy(
            np.unique(np.linspace(0, n - 1, min(n, _SAMPLE_ROWS)).astype(int))
        )
        is_local = ranks.is_local(sample)
        rows = torch.zeros(len(sample), width)
        parts = [part for part, _ in _centred(dataset, mean, ranks.local_rows(sample[is_local]))]
        if parts:
            rows[is_local] = torch.cat(parts)
        rows = ranks.all_reduce(rows)
        k = min(dim, *rows.shape)
        _, singular, right = randomized_svd(rows.numpy(), k, random_state=seed % 2**32)
        leading = torch.from_numpy(singular).double().square() / len(rows)
        total = float(rows.double().square().sum()) / len(rows)
        components = torch.from_numpy(right)
    pca = PCA(
        mean=mean,
        components=components.float().contiguous(),
        variances=leading.float(),
        mean_image_mse=total / width,
        pca_mse=max(total - float(leading.sum()), 0.0) / width,
    )
    complete = dataset.observed(torch.arange(1)) is None
    return pca if complete else _with_known_errors(pca, dataset, ranks)


@with_torch_defaults
def pca_codes(
    dataset: MaskedDataset,
    dim: int,
    *,
    pca: PCA | None = None,
    seed: int = 0,
    ranks: ProcessGroup = SINGLE_PROCESS,
    out: Tensor | None = None,
) -> Tensor:
    """Return whitened PCA codes of every row, scaled to lie mostly inside the unit ball.

    These are the initial codes of a run of the same seed, before its constraint. By whitening every
    component has the same variance; otherwise the first few would fill the ball. Where the data
    have fewer components than `dim`, the codes are padded with random numbers of the same spread,
    so that the decoder can use those directions.

    Args:
        dataset: N examples; with several processes the local ones.
        dim: D, length of a code.
        pca: principal components of the dataset; None: they are fitted.
        seed: seed of the padding, and of the fit.
        ranks: processes that store the rows.
        out: storage (N, D) of the codes; None: a new tensor.

    Returns:
        float32 (N, D); row i is the code of row i.

    Example:
        >>> from glo.data import Dataset
        >>> pca_codes(Dataset(rows=np.eye(4, dtype="float32"), name="eye"), 3).shape
        torch.Size([4, 3])
    """
    pca = fit_pca(dataset, dim, seed=seed, ranks=ranks) if pca is None else pca
    codes = torch.empty(len(dataset), dim) if out is None else out
    # Components without variance (constant or repeated data) would divide by zero.
    scale = pca.variances.clamp(min=1e-12 * float(pca.variances.max()) + 1e-30).sqrt()
    whitening = (pca.components / scale.unsqueeze(1)).T
    k = whitening.shape[1]
    norms = torch.empty(len(codes))
    blocks = [slice(i, min(i + _BATCH, len(codes))) for i in range(0, len(codes), _BATCH)]
    for block, (centered, _) in zip(blocks, _centred(dataset, pca.mean), strict=True):
        codes[block, :k] = centered @ whitening
        if k < dim:
            codes[block, k:] = _random_codes(seed, block, dim - k, ranks)
        norms[block] = codes[block].norm(dim=1)
    n = _total(dataset, ranks)
    sample = ranks.all_gather_rows(norms, torch.arange(0, n, max(1, n // _MAX_NORMS)))
    radius = float(np.quantile(sample.numpy(), _INSIDE))
    for block in blocks:
        if radius > 0:
            codes[block] /= radius
        else:
            codes[block] = _random_codes(seed, block, dim, ranks) / dim**0.5
    return codes


def _random_codes(seed: int, block: slice, dim: int, ranks: ProcessGroup) -> Tensor:
    first = int(ranks.global_rows(torch.tensor(block.start)))
    return normal(seed, first, block.stop - block.start, dim, stream="codes", every=ranks.size)


def _total(dataset: MaskedDataset, ranks: ProcessGroup) -> int:
    return int(ranks.all_reduce(torch.tensor([len(dataset)])))


def _with_known_errors(pca: PCA, dataset: MaskedDataset, ranks: ProcessGroup) -> PCA:
    # Sums over F would count every missing number as one without error, and a run, whose error is
    # a mean over known numbers, would look worse than it is.
    sums = torch.zeros(2, dtype=torch.float64)
    for centered, mask in _centred(dataset, pca.mean):
        assert mask is not None, "called for incomplete data"
        residual = (centered - centered @ pca.components.T @ pca.components) * mask
        known = mask.sum(1).clamp(min=1.0)
        for i, error in enumerate((centered, residual)):
            sums[i] += float((error.square().sum(1) / known).sum())
    mean_image, projection = (ranks.all_reduce(sums) / _total(dataset, ranks)).tolist()
    return replace(pca, mean_image_mse=mean_image, pca_mse=projection)


def _mean(dataset: MaskedDataset, ranks: ProcessGroup) -> Tensor:
    total, known = torch.zeros(2, 1, dtype=torch.float64)
    for rows, mask in _read(dataset, torch.arange(len(dataset))):
        mask = torch.ones_like(rows) if mask is None else mask
        total = total + (rows.double() * mask).sum(0)
        known = known + mask.double().sum(0)
    return (ranks.all_reduce(total) / ranks.all_reduce(known).clamp(min=1.0)).float()


def _centred(
    dataset: MaskedDataset, mean: Tensor, rows: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield differences of rows from the mean, 0 where missing, and their masks, (B, F)."""
    rows = torch.arange(len(dataset)) if rows is None else rows
    for batch, mask in _read(dataset, rows):
        yield (batch - mean if mask is None else (batch - mean) * mask), mask


def _read(dataset: MaskedDataset, rows: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    for part in rows.split(_BATCH):
        batch, observed = dataset.batch(part), dataset.observed(part)
        mask = None if observed is None else observed.expand_as(batch).flatten(1)
        yield batch.flatten(1), mask
