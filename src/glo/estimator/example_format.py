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
from glo.data.readers.pixel_range import kind_of
from glo.data.reading import Reading
from glo.errors import UserError
from glo.runs.run import Run

__all__ = ["ExampleFormat"]

Layout = Literal["f", "hw", "hwc", "chw"]

MIN_SIDE = 8
# Dtypes of pixels by their kind, where it is no dtype.
_DTYPES = {"": "uint8", "integer": "int64", "float": "float32"}


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
        clips: whether black and white are the user's, so that values beyond are clipped.
        wide: whether vectors are standardized in float64.
        side: side of the decoder's square images in pixels; 0 for vectors.
    """

    layout: Layout
    shape: tuple[int, ...]
    dtype: str
    black: float = 0.0
    white: float = 255.0
    clips: bool = False
    wide: bool = False
    side: int = 0

    @classmethod
    def of(
        cls,
        array: NDArray[Any],
        size: int | None = None,
        pixel_range: tuple[float, float] | None = None,
    ) -> Self:
        """Infer the format of an array of vectors (N, F), or of images as for `open_array`.

        Args:
            array: the examples.
            size: side of the decoder's images; None: that of the images or the next power of 2.
            pixel_range: values of black and white in images; None: by dtype and values.
        """
        layout = infer_layout(array, SourceOptions(pixel_range=pixel_range), "X")
        fields: dict[str, Any] = {"shape": array.shape[1:], "dtype": array.dtype.name}
        if not layout.is_images:
            return cls(layout="f", wide=layout.dtype == np.float64, **fields)
        order: Layout = "hw" if array.ndim == 3 else "hwc" if array.shape[3] in (1, 3) else "chw"
        fields |= {"black": layout.reading.black, "white": layout.reading.white}
        fields["clips"] = pixel_range is not None
        longest = max(layout.values.shape[1:3])
        side = max(MIN_SIDE, 1 << (longest - 1).bit_length())
        return cls(layout=order, side=size or side, **fields)

    @classmethod
    def of_run(cls, run: Run) -> Self:
        """Return the format of a run's own data, of its reading."""
        reading, shape = run.reading, run.data.shape
        if len(shape) == 1:
            dtype = reading.dtype or "float32"
            return cls(layout="f", shape=shape, dtype=dtype, wide=dtype == "float64")
        channels, height, width = shape
        fields: dict[str, Any] = {"layout": "hw", "shape": (height, width), "side": height}
        if channels == 3:
            fields |= {"layout": "hwc", "shape": (height, width, channels)}
        if reading.pixels:
            fields |= {"black": reading.black, "white": reading.white}
        dtype = _DTYPES.get(reading.pixels, reading.pixels)
        return cls(dtype=dtype, clips=run.settings.pixel_range is not None, **fields)

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

    def samples(self, array: NDArray[Any], *, is_fitted: bool = True, **kwargs: Any) -> Dataset:
        """Convert an array, (n, *shape), to a dataset.

        Args:
            array: the examples.
            is_fitted: whether a model was fitted on others, whose range and dtype hold.
            **kwargs: as for `open_layout`.
        """
        self.check(array)
        reading = Reading(dtype="float64" if self.wide else "")
        if self.is_images:
            is_float = np.dtype(self.dtype).kind == "f"
            is_short = array.dtype == np.uint8 and self.white > 255
            if (array.dtype.kind == "f") != is_float or is_short:
                raise UserError(
                    f"X holds {array.dtype} pixels, but this model was fitted on {self.dtype} "
                    f"pixels from {self.black:g} to {self.white:g}; give the same kind, in the same"
                    " range."
                )
            kind = kind_of(array.dtype)
            reading = Reading(pixels=kind, black=self.black, white=self.white)
        options = SourceOptions(
            size=self.side or None,
            crop="stretch",
            pixel_range=(self.black, self.white) if self.clips else None,
            reading=reading if is_fitted or not self.is_images else None,
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
