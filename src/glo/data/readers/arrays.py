"""Arrays of any sensible layout, dtype and range, turned into rows of a store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.dataset import Dataset
from glo.data.labels import as_labels
from glo.data.limits import check_room
from glo.data.options import DEFAULTS, Crop, SourceOptions
from glo.data.pixels import fit, recolour
from glo.data.row_writer import RowWriter
from glo.data.storage import ROWS
from glo.errors import UserError, UserTypeError

__all__ = ["Layout", "convert", "first", "lay_out", "open_array"]

_CHUNK_BYTES = 2**22
# Room for rounding in float pixels that should end at exactly 0, 1 or -1.
_SLACK = 1e-4
_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Layout:
    """An array seen as examples, and the row that each is to become.

    `values` is a view: images (N, H, W, C) or vectors (N, F), of the dtype given.
    """

    values: NDArray[Any]
    row: tuple[int, ...]
    crop: Crop
    what: str

    @property
    def is_images(self) -> bool:
        return self.values.ndim == 4

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8 if self.is_images else np.float32)

    @property
    def is_ready(self) -> bool:
        """Whether the values can serve as rows where they lie."""
        return self.values.dtype == self.dtype and self.values.shape[1:] == self.row

    @property
    def nbytes(self) -> int:
        return len(self.values) * int(np.prod(self.row)) * self.dtype.itemsize


def open_array(
    array: NDArray[Any] | Tensor,
    *,
    labels: NDArray[Any] | Tensor | None = None,
    name: str = "array",
    options: SourceOptions = DEFAULTS,
) -> Dataset:
    """Make a set of an array in memory, without a copy where it is of the right kind.

    Args:
        array: images, whole numbers 0 to 255 or floats in [0, 1] or [-1, 1], of shape (N, H, W),
            (N, H, W, C) or (N, C, H, W) with C 1 or 3; or vectors (N, F), NaN where a value is
            missing. When all float pixels are 0 or more, they are taken as [0, 1].
        labels: whole numbers from 0 or words, (N,), or None.
        name: of the set.
        options: as for any source.

    Raises:
        UserError: if shape, range or options do not fit.
        UserTypeError: if the array does not hold real numbers.

    Example:
        >>> open_array(np.zeros((7, 28, 28), np.uint8), options=SourceOptions(size=32))
        Dataset('array', n=7, shape=(1, 32, 32))
    """
    values = first(_numbers(array, "The array"), options.limit)
    rows = convert(lay_out(values, options, "The array"), None)
    if labels is None:
        return Dataset(rows=rows, name=name)
    given = _numpy(labels, "The labels")
    numbers, names = as_labels(first(given, options.limit), "The labels")
    return Dataset(rows=rows, labels=numbers, label_names=names, name=name)


def first(array: NDArray[Any], limit: int | None) -> NDArray[Any]:
    """Return the first rows of an array, or all; an array without rows is for `lay_out` to refuse.

    Example:
        >>> first(np.arange(5), 2)
        array([0, 1])
    """
    return array[:limit] if array.ndim else array


def lay_out(values: NDArray[Any], options: SourceOptions, what: str) -> Layout:
    """See an array as examples; only shape and dtype are looked at.

    Args:
        values: as for `open_array`.
        options: as given.
        what: how messages call the array.

    Raises:
        UserError: if the shape is none that is known, or options for images come with vectors.
        UserTypeError: if the array does not hold real numbers.
    """
    _numbers(values, what)
    if values.size == 0:
        raise UserError(f"{what} is empty, of shape {values.shape}; give at least one example.")
    if values.ndim == 2:
        if options.size is not None or options.channels is not None:
            raise UserError(
                f"{what} holds vectors, of shape {values.shape}; size and channels are for images,"
                " of shape (N, H, W) or (N, H, W, C)."
            )
        return Layout(values, values.shape[1:], options.crop, what)
    images = _channels_last(values, what)
    height, width = (options.size, options.size) if options.size else images.shape[1:3]
    return Layout(images, (height, width, options.channels or images.shape[3]), options.crop, what)


def convert(layout: Layout, room: Path | None) -> NDArray[Any]:
    """Make the rows: the values themselves if they are ready, else new ones, chunk by chunk.

    Args:
        layout: from `lay_out`.
        room: folder that new rows are streamed to, or None for memory.

    Raises:
        UserError: if a value is out of range.
    """
    prepare = _bytes_rule(layout) if layout.is_images else _check_vectors(layout)
    if layout.is_ready:
        return layout.values
    path = None
    if room is not None:
        check_room(room, layout.nbytes)
        path = room / ROWS
    writer = RowWriter(path, layout.row, layout.dtype, most=len(layout.values))
    try:
        for chunk in _chunks(layout.values):
            rows: NDArray[Any] = prepare(chunk)
            if layout.is_images:
                rows = recolour(rows, layout.row[2])
                rows = fit(rows, (layout.row[0], layout.row[1]), layout.crop)
            writer.append(rows)
        return writer.finish()
    finally:
        writer.close()


def _numpy(array: NDArray[Any] | Tensor, what: str) -> NDArray[Any]:
    if isinstance(array, np.ma.MaskedArray):
        raise UserTypeError(
            f"{what} is a masked array; give array.filled(numpy.nan) to mark missing values."
        )
    if not isinstance(array, Tensor):
        return np.asarray(array)
    if array.layout != torch.strided or array.is_quantized or array.is_meta:
        raise UserTypeError(f"{what} is a {array.layout} tensor; give a dense one.")
    dense = array.detach().cpu()
    # NumPy knows no bfloat16 and no 8-bit floats.
    is_short = dense.is_floating_point() and dense.dtype not in _NUMPY_FLOATS
    return (dense.float() if is_short else dense).numpy()


def _numbers(array: NDArray[Any] | Tensor, what: str) -> NDArray[Any]:
    values = _numpy(array, what)
    if values.dtype.kind not in "biuf":
        raise UserTypeError(
            f"{what} is of dtype {values.dtype}; give real numbers, such as uint8 or float32."
        )
    return values


def _channels_last(values: NDArray[Any], what: str) -> NDArray[Any]:
    shape = values.shape
    if values.ndim == 3 and shape[2] in (1, 3, 4) and shape[1] > 4:
        raise UserError(
            f"{what} has shape {shape}, which looks like one image; give (N, H, W, C), for one"
            " image array[None]."
        )
    if values.ndim == 3:
        return values[..., None]
    if values.ndim == 4 and shape[3] in (1, 3):
        return values
    if values.ndim == 4 and shape[1] in (1, 3):
        return values.transpose(0, 2, 3, 1)
    raise UserError(
        f"{what} has shape {shape}; give images (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1"
        " or 3, or vectors (N, F)."
    )


def _bytes_rule(layout: Layout) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """Choose how the pixels become bytes, after looking at their range."""
    values, what = layout.values, layout.what
    if values.dtype == np.bool_:
        return lambda chunk: chunk.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind in "iu":
        _check_whole(values, what)
        return lambda chunk: chunk.astype(np.uint8)
    low, high = _range(values)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(
            f"{what} holds NaN or infinity among its pixels; repair those images, or give"
            " Dataset(rows=..., missing=...) a mask."
        )
    if low < -1.0 - _SLACK or high > 1.0 + _SLACK:
        raise UserError(
            f"{what} holds float pixels from {low:g} to {high:g}; scale them to [0, 1] or [-1, 1],"
            " or give uint8."
        )
    shift, scale = (0.0, 255.0) if low >= -_SLACK else (1.0, 127.5)
    return lambda chunk: (
        np.rint((chunk.astype(np.float64) + shift).clip(0, 2) * scale).clip(0, 255).astype(np.uint8)
    )


def _check_whole(values: NDArray[Any], what: str) -> None:
    if values.dtype == np.uint8:
        # The whole file is read only if a few rows raise the suspicion.
        few = values[:: max(1, len(values) // 64)]
        low, high = (0, 255) if int(few.max()) != 1 else _range(values)
    else:
        low, high = _range(values)
    if low < 0 or high > 255:
        raise UserError(
            f"{what} holds whole numbers from {low} to {high}; pixels must be 0 to 255, so scale"
            " them."
        )
    if high == 1:
        raise UserError(
            f"{what} holds only 0 and 1, nearly black among 0 to 255; give bool, or multiply by"
            " 255."
        )


def _check_vectors(layout: Layout) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    def prepare(chunk: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            vectors = chunk.astype(np.float32)
        if np.isinf(vectors).any():
            raise UserError(
                f"{layout.what} holds infinity or numbers too large for float32; repair or scale"
                " them, or give NaN where a value is missing."
            )
        return vectors

    if layout.is_ready:
        for chunk in _chunks(layout.values):
            prepare(chunk)
    return prepare


def _range(values: NDArray[Any]) -> tuple[Any, Any]:
    pairs = [(chunk.min(), chunk.max()) for chunk in _chunks(values)]
    lows, highs = zip(*pairs, strict=True)
    return np.min(lows).item(), np.max(highs).item()


def _chunks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _CHUNK_BYTES // max(1, values[0].nbytes))
    for start in range(0, len(values), step):
        yield values[start : start + step]
