"""The store: row i is example i, at rest as uint8 pixels or float32 features."""

import mmap
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.checks import check_labels, check_missing, check_rows
from glo.data.indexing import as_numpy, as_slice, chunks, fingerprint_of
from glo.data.standardizer import Standardizer
from glo.data.storage import new_folder, read_store, write_store
from glo.utils.mmap import fetch, is_mapped, release_pages, scattered

__all__ = ["Dataset", "to_uint8"]

# Bytes of a mapped file that may be in memory before they are given back.
_TOUCHED = 2**28


@final
class Dataset:
    """Hold N examples with random access by row.

    Pixels are uint8 at rest, so that a set fits memory or the disk's cache four times as often,
    and float32 in [-1, 1] in a batch.

    Args:
        rows: uint8 (N, H, W, C) with C 1 or 3, or float32 (N, F) with NaN where a value is
            missing; in memory or memory-mapped, never copied and never written to.
        labels: int64 (N,), 0 or more, or None.
        name: short, such as "mnist".
        missing: bool (N, H, W, 1), True where a pixel is missing, or None; images only.
        label_names: names of the labels 0, 1, ..., or none.
        skipped: one sentence for each file, row or line that was left out.
        columns: what batches of vectors are standardised with; None: they stay as they are. It is
            of the use that is made of a set, not of its content, and is not saved with it.

    Raises:
        UserError: if shapes do not fit each other.
        UserTypeError: if a dtype is not one of those above.

    Example:
        >>> samples = Dataset(rows=np.full((5, 8, 8, 1), 255, np.uint8), name="white")
        >>> samples
        Dataset('white', n=5, shape=(1, 8, 8))
        >>> samples.batch(np.array([0, 3])).amin().item()
        1.0
    """

    def __init__(
        self,
        *,
        rows: NDArray[Any],
        labels: NDArray[np.int64] | None = None,
        name: str,
        missing: NDArray[np.bool_] | None = None,
        label_names: tuple[str, ...] = (),
        skipped: tuple[str, ...] = (),
        columns: Standardizer | None = None,
    ) -> None:
        check_rows(rows)
        check_labels(labels, label_names, len(rows))
        check_missing(missing, rows)
        self.rows = _read_only(rows)
        self.labels = None if labels is None else _read_only(labels)
        self.missing = None if missing is None else _read_only(missing)
        self.name = name
        self.label_names = label_names
        self.skipped = skipped
        self.columns = columns
        self._touched = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        labels = "" if self.labels is None else ", labelled"
        return f"Dataset({self.name!r}, n={len(self)}, shape={self.shape}{labels})"

    @property
    def is_images(self) -> bool:
        """Whether the examples are images, not vectors."""
        return self.rows.ndim == 4

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example in a batch: (C, H, W) or (F,)."""
        if not self.is_images:
            return (self.rows.shape[1],)
        _, height, width, channels = self.rows.shape
        return (channels, height, width)

    @property
    def mapped(self) -> bool:
        """Whether the rows lie in a file, of which only what is asked for comes into memory."""
        return is_mapped(self.rows)

    def fetch(self, index: NDArray[np.int64] | Tensor) -> None:
        """Ask for rows that are read soon, where they lie in a file, without waiting for them."""
        for array in (self.rows, self.missing):
            fetch(array, as_numpy(index))

    def scattered(self) -> AbstractContextManager[None]:
        """While the block lasts, rows are read here and there, not in order."""
        return scattered((self.rows, self.missing))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex characters that tell this content from any other.

        The shape, the dtype and the bytes of the rows (and of the mask) count; the name and the
        labels do not. A set of 64 MiB or more is known by a fixed, even choice of its rows.
        """
        return fingerprint_of(self.rows, self.missing)

    def batch(self, index: NDArray[np.int64] | Tensor) -> Tensor:
        """Gather rows for a decoder.

        Args:
            index: int64 (B,), row numbers.

        Returns:
            float32, images (B, C, H, W) in [-1, 1], or vectors (B, F), standardised where there are
            `columns`, with 0 where a value is missing. Colour batches lie channels-last in memory,
            as the rows do.

        Example:
            >>> rows = np.array([[1.0, np.nan], [2.0, 3.0]], np.float32)
            >>> Dataset(rows=rows, name="table").batch(np.array([1, 0]))
            tensor([[2., 3.],
                    [1., 0.]])
        """
        gathered = torch.from_numpy(self.rows[as_numpy(index)])
        self._touch(len(gathered))
        if self.columns is not None:
            gathered = self.columns.standardise(gathered)
        if not self.is_images:
            return gathered.nan_to_num_(nan=0.0) if self._has_nan else gathered
        # x / 127.5 - 1 takes 0 and 255 to exactly -1 and 1.
        return _channels_first(gathered).float().div_(127.5).sub_(1.0)

    def observed(self, index: NDArray[np.int64] | Tensor) -> Tensor | None:
        """Say which values of a batch are there.

        Args:
            index: int64 (B,), row numbers.

        Returns:
            None if nothing is missing in the whole set, else float32 of 1 (there) and 0 (missing),
            (B, 1, H, W) for images and (B, F) for vectors.

        Example:
            >>> rows = np.array([[1.0, np.nan], [2.0, 3.0]], np.float32)
            >>> Dataset(rows=rows, name="table").observed(np.array([1, 0]))
            tensor([[1., 1.],
                    [1., 0.]])
        """
        where = as_numpy(index)
        if self.missing is not None:
            return _channels_first(torch.from_numpy(~self.missing[where])).float()
        if self.is_images or not self._has_nan:
            return None
        return torch.from_numpy(~np.isnan(self.rows[where])).float()

    def subset(self, index: NDArray[np.int64] | Tensor) -> "Dataset":
        """Choose rows, in the order given.

        Evenly spaced, rising row numbers (a shard, the first n) give a view of the same memory or
        file; any others a copy in memory.

        Args:
            index: int64 (n,), row numbers.

        Example:
            >>> samples = Dataset(rows=np.zeros((6, 8, 8, 1), np.uint8), name="black")
            >>> len(samples.subset(np.arange(1, 6, 2)))
            3
        """
        chosen = as_slice(as_numpy(index), len(self))
        return Dataset(
            rows=self.rows[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            name=self.name,
            missing=None if self.missing is None else self.missing[chosen],
            label_names=self.label_names,
            skipped=self.skipped,
            columns=self.columns,
        )

    def standardised(self, columns: Standardizer | None = None) -> "Dataset":
        """Return the same vectors with standardised batches; images are left as they are.

        A set that has columns keeps them unless others are given.

        Args:
            columns: of the data that a decoder was trained on; None: those of this set.

        Example:
            >>> rows = np.array([[1.0], [3.0]], np.float32)
            >>> Dataset(rows=rows, name="table").standardised().batch(np.arange(2))
            tensor([[-1.],
                    [ 1.]])
        """
        if self.is_images or (columns is None and self.columns is not None):
            return self
        return Dataset(
            rows=self.rows,
            labels=self.labels,
            name=self.name,
            label_names=self.label_names,
            skipped=self.skipped,
            columns=columns or Standardizer.fit(self.rows),
        )

    def save(self, folder: Path) -> None:
        """Write the set to a folder, whole or not at all; an older set there is replaced.

        Raises:
            UserError: if the folder holds something other than a set.
        """
        with new_folder(Path(folder), replace=True) as room:
            self.write(room)

    def write(self, folder: Path) -> None:
        """Write the files of the set into a folder that exists."""
        write_store(
            folder,
            rows=self.rows,
            labels=self.labels,
            missing=self.missing,
            facts={
                "name": self.name,
                "label_names": list(self.label_names),
                "skipped": list(self.skipped),
            },
        )

    @staticmethod
    def open(folder: Path) -> "Dataset":
        """Open what `save` wrote; the rows stay on disk, memory-mapped.

        Raises:
            UserError: if the folder is not a whole saved set.

        Example:
            >>> import tempfile
            >>> folder = Path(tempfile.mkdtemp()) / "black"
            >>> Dataset(rows=np.zeros((6, 8, 8, 1), np.uint8), name="black").save(folder)
            >>> Dataset.open(folder)
            Dataset('black', n=6, shape=(1, 8, 8))
        """
        return Dataset(**read_store(Path(folder)))

    @cached_property
    def _has_nan(self) -> bool:
        every = np.arange(len(self))
        return any(np.isnan(self.rows[chunk]).any() for chunk in self._chunks(every))

    def _chunks(self, every: NDArray[np.int64]) -> Iterator[slice | NDArray[np.int64]]:
        for chunk in chunks(every, self.rows):
            yield chunk
            self._touch(len(self.rows[chunk]))

    def _touch(self, rows: int) -> None:
        # A mapped file may be larger than memory; rows lie scattered, a page around each.
        self._touched += rows * (self.rows[:1].nbytes + mmap.PAGESIZE)
        if self._touched > _TOUCHED:
            self._touched = 0
            release_pages(self.rows)
            release_pages(self.missing)


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Turn decoder pixels into bytes, rounded and clipped; the way back of `Dataset.batch`.

    Args:
        images: float (B, C, H, W), -1 black to 1 white; NaN becomes middle grey.

    Returns:
        uint8 (B, H, W, C).

    Example:
        >>> to_uint8(torch.tensor([-1.0, 0.0, 1.0, 9.0]).reshape(4, 1, 1, 1)).ravel()
        array([  0, 128, 255, 255], dtype=uint8)
    """
    pixels = images.detach().float().nan_to_num(nan=0.0).add(1.0).mul_(127.5)
    pixels = pixels.round_().clamp_(0.0, 255.0).to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def _channels_first(images: Tensor) -> Tensor:
    # A reshape keeps one channel contiguous; a permutation would leave strides that PyTorch
    # cannot tell from channels-last.
    batch, height, width, channels = images.shape
    if channels == 1:
        return images.reshape(batch, 1, height, width)
    return images.permute(0, 3, 1, 2)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view
