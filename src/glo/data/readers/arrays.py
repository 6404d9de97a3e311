"""Arrays of any common layout, dtype and range, converted to the rows of a dataset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.dataset import Dataset
from glo.data.labels import encode_labels
from glo.data.options import DEFAULTS, Crop, SourceOptions
from glo.data.pixels import convert_channels, resize
from glo.data.storage import RowWriter, check_space
from glo.errors import UserError, UserTypeError

__all__ = [
    "Layout",
    "convert_rows",
    "infer_layout",
    "labelled_dataset",
    "limit_rows",
    "open_array",
    "to_numpy",
]

_CHUNK_BYTES = 2**22
# Tolerance for rounding in float pixels that should end at exactly 0, 1 or -1.
_TOLERANCE = 1e-4
_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Layout:
    """Array viewed as images (N, H, W, C) or vectors (N, F), and the shape of a row to make."""

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
        """Whether the values can be used as rows without a copy."""
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
    """Make a dataset of an array in memory, without a copy where dtype and layout allow it.

    Args:
        array: images, integers 0 to 255 or floats in [0, 1] or [-1, 1], of shape (N, H, W),
            (N, H, W, C) or (N, C, H, W) with C 1 or 3; or vectors (N, F), NaN where a value is
            missing. If all float pixels are 0 or more, their range is [0, 1].
        labels: class names, integers or strings, (N,), or None; see `encode_labels`.
        name: name of the dataset.
        options: options of the source.
    """
    values = limit_rows(_to_numbers(array, "The array"), options.limit)
    rows = convert_rows(infer_layout(values, options, "The array"), None)
    if labels is not None:
        labels = limit_rows(to_numpy(labels, "The labels"), options.limit)
    return labelled_dataset(rows, labels, name, "The labels")


def labelled_dataset(
    rows: NDArray[Any], labels: NDArray[Any] | None, name: str, what: str
) -> Dataset:
    """Make a dataset of rows and raw labels, which messages name `what`."""
    if labels is None:
        return Dataset(rows=rows, name=name)
    numbers, names = encode_labels(labels, what)
    return Dataset(rows=rows, labels=numbers, label_names=names, name=name)


def limit_rows(array: NDArray[Any], limit: int | None) -> NDArray[Any]:
    """Return the first `limit` rows, or all; an array of shape () is returned as it is."""
    return array[:limit] if array.ndim else array


def infer_layout(values: NDArray[Any], options: SourceOptions, what: str) -> Layout:
    """Infer from shape and dtype how an array is viewed as examples."""
    _to_numbers(values, what)
    if values.size == 0:
        raise UserError(f"{what} is empty, of shape {values.shape}; give at least one example.")
    if values.ndim == 2:
        if options.size is not None or options.channels is not None:
            raise UserError(
                f"{what} contains vectors, of shape {values.shape}; size and channels are for"
                " images, of shape (N, H, W) or (N, H, W, C)."
            )
        return Layout(values, values.shape[1:], options.crop, what)
    images = _channels_last(values, what)
    height, width = (options.size, options.size) if options.size else images.shape[1:3]
    return Layout(images, (height, width, options.channels or images.shape[3]), options.crop, what)


def convert_rows(layout: Layout, folder: Path | None) -> NDArray[Any]:
    """Convert values to rows in `folder`, or in memory; values that are ready are only checked."""
    convert = _pixel_conversion(layout) if layout.is_images else _vector_conversion(layout)
    if layout.is_ready:
        return layout.values
    if folder is not None:
        check_space(folder, layout.nbytes)
    with RowWriter(folder, layout.row, layout.dtype, max_rows=len(layout.values)) as writer:
        for chunk in _chunks(layout.values):
            rows: NDArray[Any] = convert(chunk)
            if layout.is_images:
                rows = convert_channels(rows, layout.row[2])
                rows = resize(rows, (layout.row[0], layout.row[1]), layout.crop)
            writer.append(rows)
        return writer.finish()


def to_numpy(array: NDArray[Any] | Tensor, what: str) -> NDArray[Any]:
    """Return an array or dense tensor, which messages name `what`, as a NumPy array."""
    if isinstance(array, np.ma.MaskedArray):
        raise UserTypeError(
            f"{what} is a masked array; give array.filled(numpy.nan) to mark missing values."
        )
    if not isinstance(array, Tensor):
        return np.asarray(array)
    if array.is_meta:
        raise UserTypeError(f"{what} is on torch's device meta, without values; give a real one.")
    if array.layout != torch.strided or array.is_quantized:
        raise UserTypeError(f"{what} is a {array.layout} tensor; give a dense one.")
    dense = array.detach().cpu()
    # NumPy has no bfloat16 and no 8-bit floats.
    is_short = dense.is_floating_point() and dense.dtype not in _NUMPY_FLOATS
    return (dense.float() if is_short else dense).numpy()


def _to_numbers(array: NDArray[Any] | Tensor, what: str) -> NDArray[Any]:
    values = to_numpy(array, what)
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


def _pixel_conversion(layout: Layout) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """Choose the conversion of pixels to uint8 by their dtype and range."""
    values, what = layout.values, layout.what
    if values.dtype == np.bool_:
        return lambda chunk: chunk.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind in "iu":
        _check_integer_pixels(values, what)
        return lambda chunk: chunk.astype(np.uint8)
    low, high = _range(values)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(
            f"{what} has NaN or infinity among its pixels; repair those images, or give"
            " Dataset(rows=..., missing=...) a mask."
        )
    if low < -1.0 - _TOLERANCE or high > 1.0 + _TOLERANCE:
        raise UserError(
            f"{what} has float pixels from {low:g} to {high:g}; scale them to [0, 1] or [-1, 1],"
            " or give uint8."
        )
    shift, scale = (0.0, 255.0) if low >= -_TOLERANCE else (1.0, 127.5)
    return lambda chunk: (
        np.rint((chunk.astype(np.float64) + shift).clip(0, 2) * scale).clip(0, 255).astype(np.uint8)
    )


def _check_integer_pixels(values: NDArray[Any], what: str) -> None:
    # Of uint8 all pixels are read only if the maximum of a few rows is 1.
    few = values[:: max(1, len(values) // 64)]
    is_plausible = values.dtype == np.uint8 and int(few.max()) != 1
    low, high = (0, 255) if is_plausible else _range(values)
    if low < 0 or high > 255:
        raise UserError(f"{what} has integers from {low} to {high}; scale the pixels to 0 to 255.")
    if high == 1:
        raise UserError(
            f"{what} has only 0 and 1, nearly black among 0 to 255; give bool, or multiply by 255."
        )


def _vector_conversion(layout: Layout) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    def convert(chunk: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            vectors = chunk.astype(np.float32)
        if np.isinf(vectors).any():
            raise UserError(
                f"{layout.what} has infinity or numbers too large for float32; repair or scale"
                " them, or give NaN where a value is missing."
            )
        return vectors

    if layout.is_ready:
        for chunk in _chunks(layout.values):
            convert(chunk)
    return convert


def _range(values: NDArray[Any]) -> tuple[Any, Any]:
    pairs = [(chunk.min(), chunk.max()) for chunk in _chunks(values)]
    lows, highs = zip(*pairs, strict=True)
    return np.min(lows).item(), np.max(highs).item()


def _chunks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _CHUNK_BYTES // max(1, values[0].nbytes))
    for start in range(0, len(values), step):
        yield values[start : start + step]
