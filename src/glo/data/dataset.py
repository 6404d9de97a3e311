"""Dataset of examples: row i is example i, stored as uint8 pixels or float32 features."""

import hashlib
import math
import mmap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
import torch.utils.data
from numpy.typing import NDArray
from torch import Tensor

from glo.data.labels import UNLABELED, match_labels
from glo.data.reading import NO_READING, Reading
from glo.data.standardizer import Standardizer
from glo.data.storage import is_dataset_folder, join_ids, read_dataset_files, write_dataset_files
from glo.errors import UserError, UserTypeError
from glo.utils.files import atomic_folder
from glo.utils.row_store import is_mapped, prefetch_rows, random_access, release_pages

__all__ = ["Dataset", "concatenate", "to_uint8"]

# Bytes of a memory-mapped file that are read before its pages are released.
_RELEASE_BYTES = 2**28
_CHUNK_BYTES = 2**24
_FINGERPRINT_BYTES = 2**26
_FINGERPRINT_ROWS = 2**14

_FIELDS = (
    "rows",
    "labels",
    "name",
    "missing",
    "label_names",
    "skipped",
    "ids",
    "reading",
    "notes",
    "standardizer",
)

RowIndex = NDArray[np.int64] | Tensor | Sequence[int]


@final
class Dataset(torch.utils.data.Dataset[tuple[int, Tensor]]):
    """Torch dataset of (row, example) with random access by row.

    Pixels are uint8 at rest, a quarter of their size in a batch, and float32 in [-1, 1] in a batch.
    In a `torch.utils.data.DataLoader` the default collation gives rows, int64 (B,), and examples as
    `batch` does.

    Args:
        rows: uint8 (N, H, W, C) with C 1 or 3, or float32 (N, F) with NaN where a value is
            missing; in memory or memory-mapped, never copied and never written to. Vectors may be
            float64 where float32 would round their differences away.
        labels: int64 (N,), numbers of the classes, -1 for an example without one; or None.
        name: short name, such as "mnist".
        missing: bool (N, H, W, 1), True where a pixel is missing, or None; images only.
        label_names: names of the classes 0, 1, ...; empty: their numbers.
        skipped: one sentence for each file, row or line that was left out.
        ids: identity of each row in its source, (N,): row numbers as int64, or objects, strings
            such as file paths and integers; None: 0, 1, ....
        reading: how the values of the source were read.
        notes: one sentence for each decision about the data.
        standardizer: transform of vectors in batches, or None. It is no part of the content: the
            fingerprint and the saved files are without it.

    Raises:
        UserError: the shapes do not fit each other.
        UserTypeError: a dtype is not one of those above.

    Example:
        >>> dataset = Dataset(rows=np.full((5, 8, 8, 1), 255, np.uint8), name="white")
        >>> dataset
        Dataset('white', n=5, shape=(1, 8, 8))
        >>> dataset.batch(np.array([0, 3])).amin().item()
        1.0
        >>> row, example = dataset[3]
        >>> row, example.shape
        (3, torch.Size([1, 8, 8]))
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
        ids: NDArray[Any] | None = None,
        reading: Reading = NO_READING,
        notes: tuple[str, ...] = (),
        standardizer: Standardizer | None = None,
    ) -> None:
        _check_rows(rows)
        _check_labels(labels, label_names, len(rows))
        _check_missing(missing, rows)
        _check_ids(ids, len(rows))
        if labels is not None and not label_names:
            label_names = tuple(map(str, range(int(labels.max(initial=UNLABELED)) + 1)))
        self.rows = _read_only(rows)
        self.labels = None if labels is None else _read_only(labels)
        self.missing = None if missing is None else _read_only(missing)
        self.name = name
        self.label_names = label_names
        self.skipped = skipped
        self.ids = None if ids is None else _read_only(ids)
        self.reading = reading
        self.notes = notes
        self.standardizer = standardizer
        self._bytes_read = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[int, Tensor]:
        row = range(len(self))[row]
        return row, self.batch([row])[0]

    def __getitems__(self, rows: RowIndex) -> list[tuple[int, Tensor]]:
        """Gather the pairs (row, example) of a batch for the `DataLoader` in one step."""
        index = _row_index(rows)
        return list(zip(index.tolist(), self.batch(index), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        # Memory-mapped arrays are opened again in another process, not copied into it.
        packed = {name: _map_location(getattr(self, name)) for name in ("rows", "missing")}
        return {**self.__dict__, **{name: at for name, at in packed.items() if at is not None}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in ("rows", "missing"):
            if isinstance(state[name], tuple):
                state[name] = _map_again(*state[name])
        self.__dict__.update(state)

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
    def is_mapped(self) -> bool:
        """Whether the rows are memory-mapped from a file."""
        return is_mapped(self.rows)

    def prefetch(self, rows: RowIndex) -> None:
        """Start reading memory-mapped rows into the page cache without waiting for them."""
        for array in (self.rows, self.missing):
            prefetch_rows(array, _row_index(rows))

    def random_access(self) -> AbstractContextManager[None]:
        """Switch off the read-ahead of memory-mapped rows inside a `with` block."""
        return random_access((self.rows, self.missing))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of shape, dtype and bytes of the rows and the mask; 16 hex characters.

        Name and labels are left out. Of 64 MiB or more a fixed, evenly spaced choice of rows is
        hashed.
        """
        rows, digest = self.rows, hashlib.blake2b(digest_size=8)
        digest.update(f"{rows.shape} {rows.dtype.name}".encode())
        index = np.arange(len(rows))
        if rows.nbytes >= _FINGERPRINT_BYTES:
            count = min(_FINGERPRINT_ROWS, _FINGERPRINT_BYTES // _row_bytes(rows), len(rows))
            index = np.linspace(0, len(rows) - 1, max(2, count)).astype(np.int64)
        for array in (rows,) if self.missing is None else (rows, self.missing):
            digest.update(b"|")
            for chunk in _chunks(index, rows):
                digest.update(np.ascontiguousarray(array[chunk]).data)
        return digest.hexdigest()

    def batch(self, rows: RowIndex) -> Tensor:
        """Gather examples for a decoder.

        Args:
            rows: int64 (B,), row numbers.

        Returns:
            float32, images (B, C, H, W) in [-1, 1], or vectors (B, F), standardized where there is
            a `standardizer`, with 0 where a value is missing. Color batches lie channels-last in
            memory, as the rows do.

        Raises:
            IndexError: a row number is out of range.
            UserTypeError: the row numbers are not integers of shape (B,).

        Example:
            >>> rows = np.array([[1.0, np.nan], [2.0, 3.0]], np.float32)
            >>> Dataset(rows=rows, name="table").batch(np.array([1, 0]))
            tensor([[2., 3.],
                    [1., 0.]])
        """
        gathered = torch.from_numpy(self.rows[_row_index(rows)])
        self._count_read(len(gathered))
        return self.to_examples(gathered)

    def to_examples(self, gathered: Tensor) -> Tensor:
        """Convert gathered rows, (B, ...) on any device, to a batch as `batch` returns it.

        The rows may be overwritten.
        """
        if self.standardizer is not None:
            gathered = self.standardizer.transform(gathered)
        if not self.is_images:
            gathered = gathered.float()
            return gathered.nan_to_num_(nan=0.0) if self._has_nan else gathered
        # x / 127.5 - 1 maps 0 and 255 to exactly -1 and 1.
        return _channels_first(gathered).float().div_(127.5).sub_(1.0)

    def observed(self, rows: RowIndex) -> Tensor | None:
        """Return the mask of observed values of a batch.

        Args:
            rows: int64 (B,), row numbers.

        Returns:
            None if no value of the whole dataset is missing, else float32 of 1 (observed) and 0
            (missing), (B, 1, H, W) for images and (B, F) for vectors.

        Example:
            >>> rows = np.array([[1.0, np.nan], [2.0, 3.0]], np.float32)
            >>> Dataset(rows=rows, name="table").observed(np.array([1, 0]))
            tensor([[1., 1.],
                    [1., 0.]])
        """
        index = _row_index(rows)
        if self.missing is not None:
            return self.to_observed(torch.from_numpy(self.missing[index]))
        if self.is_images or not self._has_nan:
            return None
        return self.to_observed(torch.from_numpy(self.rows[index]))

    def to_observed(self, gathered: Tensor) -> Tensor | None:
        """Convert rows of the mask of missing pixels, or of vectors, to a mask as `observed` does.

        Args:
            gathered: (B, ...) on any device.
        """
        if self.missing is not None:
            return _channels_first(~gathered).float()
        if self.is_images or not self._has_nan:
            return None
        return (~gathered.isnan()).float()

    def subset(self, rows: RowIndex) -> "Dataset":
        """Select rows, in the order given.

        Evenly spaced, rising row numbers (a shard, the first n) give a view of the same memory or
        file; any others a copy in memory.

        Args:
            rows: int64 (n,), row numbers.

        Example:
            >>> dataset = Dataset(rows=np.zeros((6, 8, 8, 1), np.uint8), name="black")
            >>> len(dataset.subset(np.arange(1, 6, 2)))
            3
        """
        numbers = _row_index(rows)
        index = _as_slice(numbers, len(self))
        ids = self.ids
        if ids is not None:
            ids = ids[index]
        elif not np.array_equal(numbers, np.arange(len(numbers))):
            ids = numbers
        return self.replace(
            rows=self.rows[index],
            ids=ids,
            labels=None if self.labels is None else self.labels[index],
            missing=None if self.missing is None else self.missing[index],
        )

    def standardized(self, standardizer: Standardizer | None = None) -> "Dataset":
        """Return the same vectors with a standardizer for batches; images are left as they are.

        Args:
            standardizer: transform of the data that a decoder was trained on; None: the present
                one, or else one fitted to these rows.

        Example:
            >>> rows = np.array([[1.0], [3.0]], np.float32)
            >>> Dataset(rows=rows, name="table").standardized().batch(np.arange(2))
            tensor([[-1.],
                    [ 1.]])
        """
        if self.is_images or (standardizer is None and self.standardizer is not None):
            return self
        return self.replace(standardizer=standardizer or Standardizer.fit(self.rows))

    def replace(self, **changes: Any) -> "Dataset":
        """Return the dataset with other values of some arguments, as `dataclasses.replace` does.

        Example:
            >>> dataset = Dataset(rows=np.zeros((2, 8, 8, 1), np.uint8), name="black")
            >>> dataset.replace(labels=np.array([0, 1]), label_names=("cat", "dog")).label_names
            ('cat', 'dog')
        """
        return Dataset(**{**{name: getattr(self, name) for name in _FIELDS}, **changes})

    def save(self, folder: str | Path) -> None:
        """Write the dataset to a folder atomically; an older dataset there is replaced.

        Raises:
            UserError: the folder contains something other than a dataset.
        """
        folder = Path(folder)
        is_empty = folder.is_dir() and not any(folder.iterdir())
        if folder.exists() and not (is_empty or is_dataset_folder(folder)):
            raise UserError(f"{folder} contains something else; give a new or empty folder.")
        with atomic_folder(folder, replace=True) as temporary:
            self.write(temporary)

    def write(self, folder: Path) -> None:
        """Write the files of the dataset into an existing folder."""
        write_dataset_files(
            folder,
            arrays={"rows": self.rows, "labels": self.labels, "missing": self.missing},
            ids=self.ids,
            metadata={
                "name": self.name,
                "label_names": self.label_names,
                "skipped": self.skipped,
                "reading": self.reading.to_dict(),
                "notes": self.notes,
            },
        )

    @staticmethod
    def open(folder: str | Path) -> "Dataset":
        """Open a folder written by `save`; the rows stay on disk, memory-mapped.

        Raises:
            UserError: the folder is not a complete saved dataset.

        Example:
            >>> import tempfile
            >>> folder = Path(tempfile.mkdtemp()) / "black"
            >>> Dataset(rows=np.zeros((6, 8, 8, 1), np.uint8), name="black").save(folder)
            >>> Dataset.open(folder)
            Dataset('black', n=6, shape=(1, 8, 8))
        """
        return Dataset(**read_dataset_files(Path(folder)))

    @cached_property
    def _has_nan(self) -> bool:
        for index in _chunks(np.arange(len(self)), self.rows):
            chunk = self.rows[index]
            self._count_read(len(chunk))
            if np.isnan(chunk).any():
                return True
        return False

    def _count_read(self, n: int) -> None:
        # A mapped file may be larger than memory; each scattered row brings in a page around it.
        self._bytes_read += n * (self.rows[:1].nbytes + mmap.PAGESIZE)
        if self._bytes_read > _RELEASE_BYTES:
            self._bytes_read = 0
            release_pages(self.rows)
            release_pages(self.missing)


def concatenate(first: Dataset, second: Dataset) -> Dataset:
    """Concatenate datasets in memory; labels, matched by name, are kept where both have some."""
    pair = (first, second)
    if first.shape != second.shape:
        raise UserError(
            f"{first.name} has examples of {first.shape} and {second.name} of {second.shape}; "
            f"only equal shapes can be joined."
        )
    missing = labels = None
    names: tuple[str, ...] = ()
    if any(each.missing is not None for each in pair):
        shape = (*first.rows.shape[1:-1], 1)
        masks = [np.zeros((len(e), *shape), bool) if e.missing is None else e.missing for e in pair]
        missing = np.concatenate(masks)
    if first.labels is not None and second.labels is not None:
        numbers, names = match_labels(second.labels, second.label_names, first.label_names)
        labels = np.concatenate([first.labels, numbers])
    ids = join_ids([np.arange(len(e)) if e.ids is None else e.ids for e in pair])
    return first.replace(
        rows=np.concatenate([first.rows, second.rows]),
        labels=labels,
        missing=missing,
        label_names=names,
        ids=ids,
        skipped=(),
    )


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Convert decoder output to uint8 pixels, rounded and clipped; the inverse of `Dataset.batch`.

    Args:
        images: float (B, C, H, W), -1 black to 1 white; NaN becomes middle gray.

    Returns:
        uint8 (B, H, W, C).
    """
    pixels = images.detach().float().nan_to_num(nan=0.0).add(1.0).mul_(127.5)
    pixels = pixels.round_().clamp_(0.0, 255.0).to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def _check_rows(rows: NDArray[Any]) -> None:
    images = rows.ndim == 4 and rows.shape[3] in (1, 3)
    if not images and rows.ndim != 2:
        raise UserError(
            f"rows has shape {rows.shape}; give images (N, H, W, C) with C 1 or 3, or vectors"
            " (N, F)."
        )
    if min(rows.shape[1:]) < 1:
        raise UserError(f"rows has shape {rows.shape}; give examples with at least one value.")
    allowed = ("uint8",) if images else ("float32", "float64")
    if rows.dtype.name not in allowed or not rows.dtype.isnative:
        kind = "images" if images else "vectors"
        raise UserTypeError(f"rows is of dtype {rows.dtype}; give {kind} as {allowed[0]}.")


def _check_labels(labels: NDArray[Any] | None, names: tuple[str, ...], n: int) -> None:
    if labels is None:
        return
    if labels.dtype != np.int64:
        raise UserTypeError(f"labels is of dtype {labels.dtype}; give int64.")
    if labels.shape != (n,):
        raise UserError(f"labels has shape {labels.shape}; {n} examples need shape ({n},).")
    if n and labels.min() < UNLABELED:
        raise UserError(
            f"The smallest label is {labels.min()}; number the classes from 0, and mark examples"
            f" without one by {UNLABELED}."
        )
    if names and n and labels.max() >= len(names):
        raise UserError(f"The largest label is {labels.max()}, but there are {len(names)} names.")


def _check_ids(ids: NDArray[Any] | None, n: int) -> None:
    if ids is not None and (ids.shape != (n,) or (ids.dtype != np.int64 and ids.dtype != object)):
        raise UserTypeError(
            f"ids has shape {ids.shape} and dtype {ids.dtype}; give one int64 or string (object)"
            f" for each of {n} examples."
        )


def _check_missing(missing: NDArray[Any] | None, rows: NDArray[Any]) -> None:
    if missing is None:
        return
    if rows.ndim != 4:
        raise UserError("A mask was given with vectors; mark their missing values with NaN.")
    if missing.dtype != np.bool_:
        raise UserTypeError(f"The mask is {missing.dtype}; it must be bool, True where missing.")
    expected = (*rows.shape[:3], 1)
    if missing.shape != expected:
        raise UserError(
            f"The mask has shape {missing.shape}; rows of shape {rows.shape} need {expected}."
        )


def _row_index(rows: RowIndex) -> NDArray[np.int64]:
    index = rows.detach().cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
    if index.ndim != 1 or (index.dtype.kind not in "iu" and index.size):
        raise UserTypeError(
            f"The row index has shape {index.shape} and dtype {index.dtype}; give integers of"
            " shape (B,)."
        )
    return index.astype(np.int64, copy=False)


def _as_slice(index: NDArray[np.int64], n: int) -> slice | NDArray[np.int64]:
    """Return evenly spaced, rising numbers of `n` rows as a slice, any others as they are."""
    # A slice would cut off numbers that are out of range, which should be an IndexError.
    if len(index) < 2 or index[0] < 0 or index[-1] >= n:
        return index
    step = int(index[1] - index[0])
    if step < 1 or (np.diff(index) != step).any():
        return index
    return slice(int(index[0]), int(index[-1]) + 1, step)


def _row_bytes(rows: NDArray[Any]) -> int:
    return max(1, math.prod(rows.shape[1:]) * rows.itemsize)


def _chunks(index: NDArray[np.int64], rows: NDArray[Any]) -> list[slice | NDArray[np.int64]]:
    step = max(1, _CHUNK_BYTES // _row_bytes(rows))
    return [_as_slice(index[i : i + step], len(rows)) for i in range(0, len(index), step)]


def _channels_first(images: Tensor) -> Tensor:
    # A reshape keeps one channel contiguous; the strides of a permutation would be ambiguous
    # between contiguous and channels-last.
    batch, height, width, channels = images.shape
    if channels == 1:
        return images.reshape(batch, 1, height, width)
    return images.permute(0, 3, 1, 2)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


def _map_location(array: NDArray[Any] | None) -> tuple[Any, ...] | None:
    """Return file, dtype, shape, strides and offset of a memory-mapped array, None of others."""
    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    if array is None or base is None or base.filename is None:
        return None
    offset = base.offset + array.ctypes.data - base.ctypes.data
    return str(base.filename), array.dtype, array.shape, array.strides, offset


def _map_again(
    file: str, dtype: np.dtype[Any], shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> NDArray[Any]:
    content = np.memmap(file, np.uint8, "r")
    return np.ndarray(shape, dtype, content, offset, strides)
