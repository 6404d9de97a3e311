"""Format of an estimator's examples: conversion to a dataset, and of decoded examples back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.data import Dataset, SourceOptions, to_uint8
from glo.data.pixels import resize
from glo.data.readers.arrays import infer_layout, open_layout
from glo.data.reading import Reading
from glo.errors import UserError

__all__ = ["ExampleFormat"]

Layout = Literal["f", "hw", "hwc", "chw"]

MIN_SIDE = 8


@final
@dataclass(frozen=True, kw_only=True)
class ExampleFormat:
    """Shape, layout and range of a user's examples, and the side of the decoder's images.

    Attributes:
        layout: "f" for vectors; order of height, width and channels for images.
        shape: shape of one example.
        dtype: name of the NumPy dtype.
        black: value of black pixels.
        white: value of white pixels.
        wide: whether vectors are standardized in float64.
        side: side of the decoder's square images in pixels; 0 for vectors.
    """

    layout: Layout
    shape: tuple[int, ...]
    dtype: str
    black: float = 0.0
    white: float = 255.0
    wide: bool = False
    side: int = 0

    @classmethod
    def of(cls, array: NDArray[Any], size: int | None = None) -> Self:
        """Infer the format of an array of vectors (N, F), or of images as for `open_array`.

        `size`: side of the decoder's images; None: that of the images or the next power of 2.
        """
        layout = infer_layout(array, SourceOptions(), "X")
        fields: dict[str, Any] = {"shape": array.shape[1:], "dtype": array.dtype.name}
        if not layout.is_images:
            return cls(layout="f", wide=layout.dtype == np.float64, **fields)
        order: Layout = "hw" if array.ndim == 3 else "hwc" if array.shape[3] in (1, 3) else "chw"
        fields |= {"black": layout.reading.black, "white": layout.reading.white}
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
        if layouts.get(result.layout) != len(result.shape):
            raise ValueError(f"the layout is {result.layout!r}")
        pixel_range = (result.black, result.white)
        if not np.isfinite(pixel_range).all() or result.black == result.white:
            raise ValueError(f"the range is {pixel_range}")
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
        """Convert an array, (n, *shape), to a dataset; `kwargs` are as for `open_layout`."""
        self.check(array)
        kind = np.dtype(self.dtype).kind
        if self.is_images and (array.dtype.kind == "f") != (kind == "f"):
            raise UserError(
                f"X holds {array.dtype} pixels, but this model was fitted on {self.dtype} pixels;"
                " give the same kind, in the same range."
            )
        options = SourceOptions(
            size=self.side or None,
            crop="stretch",
            pixel_range=(self.black, self.white) if self.is_images else None,
            reading=Reading(dtype="float64" if self.wide else ""),
        )
        return open_layout(infer_layout(array, options, "X"), None, "array", kwargs)

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
        values = pixels / 255 * (self.white - self.black) + self.black
        is_whole = np.dtype(self.dtype).kind in "iu"
        return (np.rint(values) if is_whole else values).astype(self.dtype)
