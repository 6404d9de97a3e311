"""The form in which somebody's examples came, so that pictures and vectors go back in it."""

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

# Room for rounding in float pixels that should end at exactly 0, 1 or -1.
_SLACK = 1e-4
_LEAST_SIDE = 8
# A black pixel and a white one, for each way to write pixels as real numbers.
_RANGES = {"unit": (0.0, 1.0), "symmetric": (-1.0, 1.0)}


@final
@dataclass(frozen=True, kw_only=True)
class ExampleFormat:
    """Shape, layout and range of examples outside, and the sides of images inside.

    Attributes:
        layout: "f" for vectors; order of height, width and channels for images.
        shape: of one example, as it came.
        dtype: name of the NumPy dtype, as it came.
        range: "unit" ([0, 1]) or "symmetric" ([-1, 1]) for float pixels; None for all else.
        side: height and width of the square images that the decoder makes; 0 for vectors.
    """

    layout: Layout
    shape: tuple[int, ...]
    dtype: str
    range: Literal["unit", "symmetric"] | None = None
    side: int = 0

    @classmethod
    def of(cls, array: NDArray[Any], size: int | None = None) -> Self:
        """Recognise the form of an array.

        Args:
            array: vectors (N, F), or images as for `open_array`; NaN is a missing pixel.
            size: side inside; None: that of the images, or the next power of two.

        Raises:
            UserError: the shape is none that is known.

        Example:
            >>> ExampleFormat.of(np.zeros((5, 28, 28), np.uint8)).side
            32
        """
        layout = infer_layout(array, SourceOptions(), "X")
        facts: dict[str, Any] = {"shape": array.shape[1:], "dtype": array.dtype.name}
        if not layout.is_images:
            return cls(layout="f", **facts)
        order: Layout = "hw" if array.ndim == 3 else "hwc" if array.shape[3] in (1, 3) else "chw"
        if array.dtype.kind == "f":
            low = np.nanmin(array) if not np.isnan(array).all() else 0.0
            facts["range"] = "symmetric" if low < -_SLACK else "unit"
        longest = max(layout.values.shape[1:3])
        side = max(_LEAST_SIDE, 1 << (longest - 1).bit_length())
        return cls(layout=order, side=size or side, **facts)

    @classmethod
    def of_shape(cls, shape: tuple[int, ...]) -> Self:
        """Return the usual form of examples of a decoder's shape, (C, H, W) or (F,)."""
        if len(shape) == 1:
            return cls(layout="f", shape=shape, dtype="float32")
        channels, height, width = shape
        if channels == 1:
            return cls(layout="hw", shape=(height, width), dtype="uint8", side=height)
        return cls(layout="hwc", shape=(height, width, channels), dtype="uint8", side=height)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a form from what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it was not that.
        """
        form = cls(**{**values, "shape": tuple(values["shape"])})
        numbers = (*form.shape, form.side + 1)
        if not all(type(number) is int and 0 < number < 2**31 for number in numbers):
            raise ValueError("shape and side hold what is no length")
        layouts = {"f": 1, "hw": 2, "hwc": 3, "chw": 3}
        if layouts.get(form.layout) != len(form.shape) or form.range not in (None, *_RANGES):
            raise ValueError(f"the layout is {form.layout!r} and the range {form.range!r}")
        if np.dtype(str(form.dtype)).kind not in "biuf":
            raise ValueError(f"the dtype is {form.dtype!r}")
        return form

    def to_dict(self) -> dict[str, Any]:
        """Return the form, ready for JSON."""
        return asdict(self) | {"shape": list(self.shape)}

    @property
    def is_images(self) -> bool:
        """Whether the examples are images."""
        return self.layout != "f"

    def check(self, array: NDArray[Any]) -> None:
        """Raise UserError unless examples are of the shape that was learned."""
        if array.shape[1:] != self.shape:
            given, wanted = (", ".join(map(str, s)) for s in (array.shape[1:], self.shape))
            raise UserError(
                f"X has shape (n, {given}), but this model was fitted on (n, {wanted}); give "
                f"examples of that shape."
            )

    def samples(self, array: NDArray[Any], **more: Any) -> Dataset:
        """Turn an array of this form into a set.

        Args:
            array: (n, *shape).
            more: labels and their names, for `Dataset`.

        Raises:
            UserError: another shape, or values out of range.
        """
        self.check(array)
        if not self.is_images:
            return Dataset(rows=open_array(array).rows, name="array", **more)
        pixels, missing = self._bytes(infer_layout(array, SourceOptions(), "X").values)
        target = (self.side, self.side)
        if missing is not None:
            # Whatever a missing pixel had a part in is missing.
            missing = resize(missing.astype(np.uint8) * np.uint8(255), target, "stretch") > 0
        rows = resize(np.ascontiguousarray(pixels), target, "stretch")
        return Dataset(rows=rows, name="array", missing=missing, **more)

    def restore(self, examples: Tensor) -> NDArray[Any]:
        """Turn what a decoder made into an array of this form.

        Args:
            examples: float32 (n, C, H, W) in [-1, 1], or (n, F) in units of the data.

        Returns:
            (n, *shape), of the dtype and range that were learned.

        Example:
            >>> import torch
            >>> ExampleFormat.of(np.zeros((1, 8, 8), np.uint8)).restore(
            ...     torch.ones(1, 1, 8, 8)
            ... ).max()
            np.uint8(255)
        """
        if not self.is_images:
            kind = self.dtype if np.dtype(self.dtype).kind == "f" else "float32"
            return examples.numpy().astype(kind)
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
        """Return pixels (n, H, W, C) and where they are missing (n, H, W, 1), if any are."""
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
        hidden = np.isnan(values)
        low, high = _RANGES[self.range]
        known = np.where(hidden, low, values)
        if known.min() < low - _SLACK or known.max() > high + _SLACK:
            raise UserError(
                f"X holds float pixels from {known.min():g} to {known.max():g}; this model takes "
                f"[{low:g}, {high:g}], so scale them."
            )
        pixels = np.rint((known.clip(low, high) - low) * (255 / (high - low))).astype(np.uint8)
        return pixels, hidden.any(3, keepdims=True) if hidden.any() else None
