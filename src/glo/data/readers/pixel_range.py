"""Range of pixels: the values of black and white in a source, decided or taken from a run."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.data.options import SourceOptions
from glo.data.pixels import white_of
from glo.data.reading import Reading
from glo.errors import UserError

__all__ = ["chunks", "decide_range", "same_kind", "to_bytes"]

_CHUNK_BYTES = 2**22
# Tolerance for rounding in float pixels that should end at exactly 0, 1 or -1.
_TOLERANCE = 1e-4
# Share of the range from black to white below which a note gives the values in use.
_LOW_USE = 0.25
_SAMPLE = 64


def decide_range(
    values: NDArray[Any], missing: NDArray[np.bool_] | None, options: SourceOptions, what: str
) -> tuple[Reading, str]:
    """Return the kind and range of pixels, and their description for a note.

    The range is that of the options, that of a run whose pixels are of the same kind, or else the
    usual one: 0 to 2^k - 1 for integers, [0, 1] or [-1, 1] for floats.

    Args:
        values: (N, H, W, C); NaN is missing.
        missing: bool (N, H, W, C), True where a pixel is missing, or None.
        options: options of the source.
        what: name of the array in messages.

    Raises:
        UserError: values outside the range, infinity, or nothing but missing pixels.
    """
    kind = _kind(values.dtype)
    if kind == "bool":
        return Reading(pixels=kind, white=1.0), "false is black and true is white"
    given, known = options.pixel_range, options.reading
    other = ""
    if known is not None and known.pixels:
        if given is None and same_kind(kind, known.pixels):
            given = known.black, known.white
        else:
            other = f" (in the run's {known.pixels} pixels {known.black:g} and {known.white:g})"
    if given is None and kind == "uint8" and int(_sample(values).max()) >= 255 * _LOW_USE:
        # Any value is in the range and the use is not low: a large file is not read for it.
        return Reading(pixels=kind, white=255.0), f"0 is black and 255 is white{other}"
    low, high = _bounds(values, missing, what)
    black, white = given or _usual_range(low, high, kind, what)
    least, most = min(black, white), max(black, white)
    slack = _TOLERANCE * (most - least) if kind == "float" else 0.0
    if low < least - slack or high > most + slack:
        raise UserError(
            f"{what} has pixels from {low:g} to {high:g}, outside the range from {black:g} (black)"
            f" to {white:g} (white); scale them to that range."
        )
    text = f"values {low:g} to {high:g}; {black:g} is black and {white:g} is white"
    share = (high - low) / (most - least)
    if 0 < share < _LOW_USE and known is None:
        text += (
            f", of which they use {share:.1%}; if they should use all of it, give --pixel-range"
            f" {low:g} {high:g}"
        )
    return Reading(pixels=kind, black=float(black), white=float(white)), text + other


def same_kind(kind: str, known: str) -> bool:
    """Return whether pixels of a kind are in the units of a run of another: `Reading.pixels`."""
    return known == kind or known in {
        "integer": ("uint8", "uint16"),  # NumPy's default integers hold those of any image
        "uint16": ("integer",),
    }.get(kind, ())


def to_bytes(values: NDArray[Any], reading: Reading) -> NDArray[np.uint8]:
    """Convert pixels of a reading to uint8, rounded and clipped; NaN becomes black."""
    black, white = reading.black, reading.white
    if values.dtype.kind in "iu" and (black, white) == (0, 255):
        return values.astype(np.uint8)
    scaled = np.nan_to_num(values.astype(np.float64), nan=black) - black
    return np.rint(scaled * (255.0 / (white - black))).clip(0, 255).astype(np.uint8)


def chunks(values: NDArray[Any]) -> Iterator[slice]:
    """Return slices of rows of about 4 MiB."""
    step = max(1, _CHUNK_BYTES // max(1, values[0].nbytes))
    for start in range(0, len(values), step):
        yield slice(start, start + step)


def _kind(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "iu":
        return dtype.name if dtype.name in ("uint8", "uint16") else "integer"
    return "bool" if dtype.kind == "b" else "float"


def _sample(values: NDArray[Any]) -> NDArray[Any]:
    return values[:: max(1, len(values) // _SAMPLE)]


def _bounds(values: NDArray[Any], missing: NDArray[np.bool_] | None, what: str) -> tuple[Any, Any]:
    lows, highs = [], []
    for rows in chunks(values):
        chunk = values[rows] if missing is None else values[rows][~missing[rows]]
        chunk = chunk[~np.isnan(chunk)] if chunk.dtype.kind == "f" else chunk
        if chunk.size:
            lows.append(chunk.min().item())
            highs.append(chunk.max().item())
    if not lows:
        raise UserError(f"{what} has no pixel that is not missing (NaN or masked); repair it.")
    low, high = min(lows), max(highs)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(
            f"{what} has infinity among its pixels; repair those images, or give NaN where a pixel"
            " is missing."
        )
    return low, high


def _usual_range(low: Any, high: Any, kind: str, what: str) -> tuple[float, float]:
    advice = "give their black and white as --pixel-range LOW HIGH (pixel_range in Python)"
    if kind == "float":
        if low < -1.0 - _TOLERANCE or high > 1.0 + _TOLERANCE:
            raise UserError(
                f"{what} has float pixels from {low:g} to {high:g}, outside [0, 1] and [-1, 1];"
                f" {advice}."
            )
        return (0.0, 1.0) if low >= -_TOLERANCE else (-1.0, 1.0)
    white = white_of(high)
    if low < 0 or white is None:
        raise UserError(f"{what} has integers from {low} to {high}, outside 0 to 65535; {advice}.")
    if high == 1:
        raise UserError(
            f"{what} has only 0 and 1, nearly black among 0 to 255; give bool, or --pixel-range 0 1"
            " (pixel_range in Python)."
        )
    return 0.0, float(white)
