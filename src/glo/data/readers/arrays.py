"""Arrays of any common layout, dtype and range, converted to the rows of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.dataset import Dataset
from glo.data.labels import encode_targets
from glo.data.options import DEFAULTS, SourceOptions
from glo.data.pixels import convert_channels, resize, to_bytes
from glo.data.readers.pixel_range import chunks, read_range
from glo.data.readers.suspect_columns import Ranges, blank_columns, column_ranges, suspect_notes
from glo.data.reading import Reading
from glo.data.standardizer import CONSTANT, column_moments
from glo.data.storage import RowWriter, check_space
from glo.errors import UserError, UserTypeError, listed

__all__ = [
    "Layout",
    "convert_rows",
    "fill_masked",
    "infer_layout",
    "labels_of",
    "limit_rows",
    "open_array",
    "open_layout",
    "to_numpy",
]

_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)
# Pixels of an image of a single row; more are an image that was flattened.
_MAX_LINE = 16
# Rounding error, in standard deviations of a column, from which vectors stay float64.
_MAX_ROUNDING = 1e-3


@dataclass(frozen=True)
class Layout:
    """Array viewed as images (N, H, W, C) or vectors (N, F), and the shape of a row to make.

    Attributes:
        values: the view; of vectors NaN where a value is missing.
        missing: bool (N, H, W, C), True where a pixel is masked, or None.
        row: shape of a row.
        order: order of the axes of the array, such as "(N, H, W)".
        options: options of the source.
        what: name of the array in messages.
    """

    values: NDArray[Any]
    missing: NDArray[np.bool_] | None
    row: tuple[int, ...]
    order: str
    options: SourceOptions
    what: str

    @property
    def is_images(self) -> bool:
        return self.values.ndim == 4

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the rows: uint8, float32, or float64 where float32 would round vectors."""
        if self.is_images:
            return np.dtype(np.uint8)
        return np.dtype(np.float64 if self.wide_columns else np.float32)

    @cached_property
    def wide_columns(self) -> list[int]:
        """Columns of vectors whose differences float32 would round away.

        With the reading of a run all columns or none, as in the training.
        """
        known = self.options.reading
        if known is not None:
            return list(range(self.row[0])) if known.dtype == "float64" else []
        if self.values.dtype.itemsize < 4 or self.values.dtype == np.float32:
            return []
        return _wide_columns(self.values)

    @cached_property
    def ranges(self) -> Ranges:
        """Least and largest value of each column of vectors."""
        return column_ranges(self.values)

    @cached_property
    def reading(self) -> Reading:
        """How the values are read."""
        if self.is_images:
            return self._range[0]
        return Reading(dtype="float64") if self.dtype == np.float64 else Reading()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the range of images, or on the columns of vectors."""
        n, height, width, channels = (*self.values.shape, 0, 0)[:4]
        if self.is_images and not self._range[1]:
            return ()
        if self.is_images:
            size = f"{height} x {width}"
            if self.row[:2] != (height, width):
                size += f", resized to {self.row[0]} x {self.row[1]}"
            size += " in color" if channels == 3 else ""
            kind = "float" if self._is_float else self.values.dtype.name
            text = f"{self.what}: {n:,} {kind} images of {size}, read as {self.order}"
            return (f"{text}, {self._range[1]}.{self._axes_hint}",)
        known = self.options.reading
        if known is not None:
            names = listed(known.columns)
            text = f"{self.what} has no names of columns, so they are taken by their places as"
            return (f"{text} {names}.",) if names else ()
        notes = [f"{self.what}: {note}" for note in suspect_notes(self.values, ranges=self.ranges)]
        if self.wide_columns:
            columns = listed([str(column) for column in self.wide_columns])
            text = f"{self.what}: float32 would round the differences in columns {columns} (from 0)"
            notes.append(f"{text}, so the vectors stay float64.")
        return tuple(notes)

    @property
    def is_ready(self) -> bool:
        """Whether the values can be used as rows without a copy; float64 ones are not tried."""
        is_same = self.values.dtype in (np.uint8, np.float32) and self.values.shape[1:] == self.row
        if not is_same or self.values.dtype != self.dtype or self.missing is not None:
            return False
        return not self.is_images or (self.reading.black, self.reading.white) == (0, 255)

    @property
    def nbytes(self) -> int:
        return len(self.values) * int(np.prod(self.row)) * self.dtype.itemsize

    @property
    def _is_float(self) -> bool:
        return self.values.dtype.kind == "f"

    @property
    def _axes_hint(self) -> str:
        n, height, width, _ = self.values.shape
        if self.order != "(N, H, W)" or n != height or n == width:
            return ""
        return " If the last axis counts the images, give array.transpose(2, 0, 1)."

    @cached_property
    def _range(self) -> tuple[Reading, str]:
        return read_range(self.values, self.missing, self.options, self.what)


def open_array(
    array: NDArray[Any] | Tensor,
    *,
    labels: NDArray[Any] | Tensor | None = None,
    name: str = "array",
    options: SourceOptions = DEFAULTS,
) -> Dataset:
    """Make a dataset of an array in memory, without a copy where dtype and layout allow it.

    Args:
        array: images of shape (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3: bool; integers
            from 0 to 255, 1023, 4095, 16383 or 65535, the first that is not exceeded; floats in
            [0, 1], or in [-1, 1] if some are negative; or of any range that the options give. Or
            vectors (N, F). NaN and masked values are missing.
        labels: class names, integers or strings, (N,), or one-hot (N, K); or None.
        name: name of the dataset.
        options: options of the source.
    """
    values = limit_rows(_to_numbers(array, "The array"), options.limit)
    layout = infer_layout(values, options, "The array")
    if labels is not None:
        labels = limit_rows(to_numpy(labels, "The labels"), options.limit)
    return open_layout(layout, None, name, labels_of(labels, "The labels"))


def open_layout(
    layout: Layout, folder: Path | None, name: str, labels: Mapping[str, Any]
) -> Dataset:
    """Make a dataset of a layout, with the labels, names and notes of `labels_of`."""
    rows, missing = convert_rows(layout, folder)
    return Dataset(
        rows=rows,
        missing=missing,
        name=name,
        reading=layout.reading,
        **{**labels, "notes": (*layout.notes, *labels.get("notes", ()))},
    )


def labels_of(labels: NDArray[Any] | None, what: str) -> dict[str, Any]:
    """Return labels as `labels`, `label_names` and `notes` of a dataset; messages name `what`."""
    if labels is None:
        return {}
    numbers, names, notes = encode_targets(labels, what)
    return {"labels": numbers, "label_names": names, "notes": notes}


def limit_rows(array: NDArray[Any], limit: int | None) -> NDArray[Any]:
    """Return the first `limit` rows, or all; an array of shape () is returned as it is."""
    return array[:limit] if array.ndim else array


def infer_layout(values: NDArray[Any], options: SourceOptions, what: str) -> Layout:
    """Infer from shape and dtype how an array is viewed as examples."""
    _to_numbers(values, what)
    if values.size == 0:
        raise UserError(f"{what} is empty, of shape {values.shape}; give at least one example.")
    if values.ndim == 2:
        if options.size is not None or options.channels is not None or options.pixel_range:
            raise UserError(
                f"{what} contains vectors, of shape {values.shape}; size, channels and pixel_range"
                " are for images, of shape (N, H, W) or (N, H, W, C)."
            )
        columns = options.reading.columns if options.reading else ()
        if columns and len(columns) != values.shape[1]:
            raise UserError(
                f"{what} has {values.shape[1]} columns, and the run was trained on {len(columns)}: "
                f"{listed(columns)}; give these."
            )
        if isinstance(values, np.ma.MaskedArray):
            values = fill_masked(values)
        return Layout(values, None, values.shape[1:], "(N, F)", options, what)
    images, order = _channels_last(values, what)
    missing = None
    if isinstance(images, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(images) if np.ma.is_masked(images) else None
        images = images.data
    height, width = (options.size, options.size) if options.size else images.shape[1:3]
    row = (height, width, options.channels or images.shape[3])
    return Layout(images, missing, row, order, options, what)


def convert_rows(
    layout: Layout, folder: Path | None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Convert values to rows in `folder`, or in memory, and to the mask of missing pixels, if any.

    Values that are ready are only checked.
    """
    if not layout.is_images:
        _check_finite(layout)
        if layout.values.dtype == layout.dtype:
            return layout.values, None
    elif layout.is_ready:
        return layout.values, None
    if folder is not None:
        check_space(folder, layout.nbytes)
    masks: list[NDArray[np.bool_]] = []
    with RowWriter(folder, layout.row, layout.dtype, max_rows=len(layout.values)) as writer:
        for part in chunks(layout.values):
            if layout.is_images:
                writer.append(_pixels(layout, layout.values[part]))
                masks.append(_mask(layout, part))
            else:
                writer.append(layout.values[part].astype(layout.dtype))
        rows = writer.finish()
    has_missing = any(mask.any() for mask in masks)
    return rows, np.concatenate(masks) if has_missing else None


def to_numpy(array: NDArray[Any] | Tensor, what: str) -> NDArray[Any]:
    """Return an array or dense tensor, which messages name `what`, as a NumPy array."""
    if not isinstance(array, Tensor):
        return np.asanyarray(array) if isinstance(array, np.ma.MaskedArray) else np.asarray(array)
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


def fill_masked(values: Any) -> NDArray[Any]:
    """Return masked vectors with NaN in the place of masked values."""
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    return np.asarray(values.astype(dtype).filled(np.nan))


def _channels_last(values: NDArray[Any], what: str) -> tuple[NDArray[Any], str]:
    """Return images (N, H, W, C), and the order of the axes they were given in."""
    shape = values.shape
    if values.ndim == 3 and min(shape[1:]) == 1 and max(shape[1:]) > _MAX_LINE:
        raise UserError(
            f"{what} has shape {shape}, images of a single row or column; give"
            f" array.reshape(len(array), -1) for vectors, or (N, H, W) for images."
        )
    if values.ndim == 3 and shape[2] in (3, 4) and shape[1] > 4:
        raise UserError(
            f"{what} has shape {shape}, which looks like one image; give (N, H, W, C), for one"
            " image array[None]."
        )
    if values.ndim == 3:
        return values[..., None], "(N, H, W)"
    if values.ndim == 4 and shape[3] in (1, 3):
        return values, "(N, H, W, C)"
    if values.ndim == 4 and shape[1] in (1, 3):
        return values.transpose(0, 2, 3, 1), "(N, C, H, W)"
    raise UserError(
        f"{what} has shape {shape}; give images (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1"
        " or 3, or vectors (N, F)."
    )


def _pixels(layout: Layout, values: NDArray[Any]) -> NDArray[np.uint8]:
    height, width, channels = layout.row
    pixels = to_bytes(values, layout.reading.black, layout.reading.white)
    return resize(convert_channels(pixels, channels), (height, width), layout.options.crop)


def _mask(layout: Layout, part: slice) -> NDArray[np.bool_]:
    """Return the missing pixels of some images, (n, H, W, 1), in the size of the rows."""
    values = layout.values[part]
    missing = np.isnan(values) if layout._is_float else np.zeros((*values.shape[:3], 1), bool)
    if layout.missing is not None:
        missing = missing | layout.missing[part]
    missing = missing.any(3, keepdims=True)
    if not missing.any():
        return np.zeros((len(values), *layout.row[:2], 1), bool)
    # A resized pixel is missing if any of its sources is.
    marked = np.where(missing, np.uint8(255), np.uint8(0))
    return resize(marked, (layout.row[0], layout.row[1]), layout.options.crop) > 0


def _check_finite(layout: Layout) -> None:
    limit = np.finfo(np.float32).max
    low, high = (np.where(blank_columns(layout.ranges), 0, each) for each in layout.ranges)
    if layout.values.dtype.kind != "f" or not ((low < -limit) | (high > limit)).any():
        return
    for part in chunks(layout.values):
        _check_finite_rows(layout, part, limit)


def _check_finite_rows(layout: Layout, part: slice, limit: Any) -> None:
    chunk = layout.values[part]
    with np.errstate(invalid="ignore"):
        wrong = np.abs(chunk) > limit
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        kind = "infinity" if np.isinf(chunk[row, column]) else f"{chunk[row, column]:g}, too large"
        raise UserError(
            f"{layout.what} has {kind} in row {row + part.start}, column {column} (from 0); repair"
            " or scale it, or give NaN where a value is missing."
        )


def _wide_columns(values: NDArray[Any]) -> list[int]:
    """Return the columns in which float32 rounds by a share of the standard deviation."""
    error = np.zeros(values.shape[1])
    with np.errstate(all="ignore"):  # infinity is refused later
        for part in chunks(values):
            chunk = values[part].astype(np.float64)
            error = np.fmax(error, np.fmax.reduce(np.abs(chunk - chunk.astype(np.float32))))
        if not error.any():
            return []
        mean, scale = column_moments(values)
        is_wide = (error > _MAX_ROUNDING * scale) & (scale > CONSTANT["float64"] * np.abs(mean))
    return [int(column) for column in np.flatnonzero(is_wide)]
