"""Format of an estimator's examples: conversion to a dataset, and of decoded examples back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_array, to_uint8
from glo.data.pixels import resize
from glo.data.readers.arrays import infer_layout
from glo.errors import UserError

__all__ = ["ExampleFormat"]

Layout = Literal["f", "hw", "hwc", "chw"]

# Rounding errors of float pixels at the ends of their range.
_TOLERANCE = 1e-4
MIN_SIDE = 8
# Values of black and white in float pixels.
_RANGES = {"unit": (0.0, 1.0), "symmetric": (-1.0, 1.0)}


@final
@dataclass(frozen=True, kw_only=True)
class ExampleFormat:
    """Shape, layout and range of a user's examples, and the side of the decoder's images.

    Attributes:
        layout: "f" for vectors; order of height, width and channels for images.
        shape: shape of one example.
        dtype: name of the NumPy dtype.
        range: "unit" ([0, 1]) or "symmetric" ([-1, 1]) for float pixels, else None.
        side: side of the decoder's square images in pixels; 0 for vectors.
    """

    layout: Layout
    shape: tuple[int, ...]
    dtype: str
    range: Literal["unit", "symmetric"] | None = None
    side: int = 0

    @classmethod
    def of(cls, array: NDArray[Any], size: int | None = None) -> Self:
        """Infer the format of an array of vectors (N, F), or of images as for `open_array`.

        `size`: side of the decoder's images; None: that of the images or the next power of 2.
        """
        layout = infer_layout(array, SourceOptions(), "X")
        fields: dict[str, Any] = {"shape": array.shape[1:], "dtype": array.dtype.name}
        if not layout.is_images:
            return cls(layout="f", **fields)
        order: Layout = "hw" if array.ndim == 3 else "hwc" if array.shape[3] in (1, 3) else "chw"
        if array.dtype.kind == "f":
            low = np.nanmin(array) if not np.isnan(array).all() else 0.0
            fields["range"] = "symmetric" if low < -_TOLERANCE else "unit"
        longest = max(layout.values.shape[1:3])
        side = max(MIN_SIDE, 1 << (longest - 1).bit_length())
        return cls(layout=order, side=size or side, **fields)

    @classmethod
    def of_shape(cls, shape: tuple[int, ...]) -> Self:
        """Return the default format of a decoder's examples, (C, H, W) or (F,)."""
        if len(shape) == 1:
            return cls(layout="f", shape=shape, dtype="float32")
        channels, height, width = shape
        if channels == 1:
            return cls(layout="hw", shape=(height, width), dtype="uint8", side=height)
        return cls(layout="hwc", shape=(height, width, channels), dtype="uint8", side=height)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a format from the values of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the values are damaged.
        """
        result = cls(**{**values, "shape": tuple(values["shape"])})
        numbers = (*result.shape, result.side + 1)
        if not all(type(number) is int and 0 < number < 2**31 for number in numbers):
            raise ValueError("shape and side must be positive integers")
        layouts = {"f": 1, "hw": 2, "hwc": 3, "chw": 3}
        if layouts.get(result.layout) != len(result.shape) or result.range not in (None, *_RANGES):
            raise ValueError(f"the layout is {result.layout!r} and the range {result.range!r}")
        if np.dtype(str(result.dtype)).kind not in "biuf":
            raise ValueError(f"the dtype is {result.dtype!r}")
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary for JSON."""
        return asdict(self) | {"shape": list(self.shape)}

    @property
    def is_images(self) -> bool:
        """Whether the examples are images."""
        return self.layout != "f"

    def check(self, array: NDArray[Any]) -> None:
        """Raise UserError unless examples have the shape of this format."""
        if array.shape[1:] != self.shape:
            actual, expected = (", ".join(map(str, s)) for s in (array.shape[1:], self.shape))
            raise UserError(
                f"X has shape (n, {actual}), but this model was fitted on (n, {expected}); give "
                f"examples of that shape."
            )

    def samples(self, array: NDArray[Any], **kwargs: Any) -> Dataset:
        """Convert an array, (n, *shape), to a dataset; `kwargs` are its labels and their names."""
        self.check(array)
        if not self.is_images:
            return Dataset(rows=open_array(array).rows, name="array", **kwargs)
        pixels, missing = self._bytes(infer_layout(array, SourceOptions(), "X").values)
        target = (self.side, self.side)
        if missing is not None:
            # A resized pixel is missing if any of its sources is.
            missing = resize(missing.astype(np.uint8) * np.uint8(255), target, "stretch") > 0
        rows = resize(np.ascontiguousarray(pixels), target, "stretch")
        return Dataset(rows=rows, name="array", missing=missing, **kwargs)

    def restore(self, examples: Tensor) -> NDArray[Any]:
        """Convert float32 examples, (n, C, H, W) in [-1, 1] or (n, F), to this format."""
        if not self.is_images:
            dtype = self.dtype if np.dtype(self.dtype).kind == "f" else "float32"
            return examples.numpy().astype(dtype)
        height, width = self.shape[1:] if self.layout == "chw" else self.shape[:2]
        pixels = resize(to_uint8(examples), (height, width), "stretch")
        if self.layout == "hw":
            pixels = pixels[..., 0]
        elif self.layout == "chw":
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        if self.dtype == "bool":
            return pixels > 127
        if self.range is None:
            return pixels.astype(self.dtype)
        low, high = _RANGES[self.range]
        return (pixels / 255 * (high - low) + low).astype(self.dtype)

    def _bytes(self, values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Return pixels (n, H, W, C) and the mask of missing ones (n, H, W, 1), or None."""
        if values.dtype.kind != "f":
            if self.range is not None:
                raise UserError(
                    f"X holds {values.dtype} pixels, but this model was fitted on {self.dtype} "
                    f"pixels; scale them to the same range."
                )
            return open_array(values).rows, None
        if self.range is None:
            raise UserError(
                f"X holds {values.dtype} pixels, but this model was fitted on {self.dtype} pixels; "
                f"give the same kind."
            )
        missing = np.isnan(values)
        low, high = _RANGES[self.range]
        known = np.where(missing, low, values)
        if known.min() < low - _TOLERANCE or known.max() > high + _TOLERANCE:
            raise UserError(
                f"X holds float pixels from {known.min():g} to {known.max():g}; this model takes "
                f"[{low:g}, {high:g}], so scale them."
            )
        pixels = np.rint((known.clip(low, high) - low) * (255 / (high - low))).astype(np.uint8)
        return pixels, missing.any(3, keepdims=True) if missing.any() else None
