"""Values of black and white in a source: given, those of a run, or decided from its pixels."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glo.data.options import SourceOptions
from glo.data.readers.images import ImageFacts
from glo.data.reading import Reading
from glo.errors import UserError

__all__ = ["PixelRange", "chunks", "decide_range", "decide_ranges", "kind_of", "read_range"]

_CHUNK_BYTES = 2**22
# Whites of 8, 10, 12, 14 and 16 bits, which cameras and scanners make.
_WHITES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
# Rounding of float pixels that should end at black or white, relative to their difference.
_TOLERANCE = 1e-4
# Share of the range from black to white below which a note gives the values in use.
_LOW_USE = 0.25
_SAMPLE = 64


class PixelRange(NamedTuple):
    """Values of black and white for pixels of one kind.

    Attributes:
        kind: kind of the pixels, as in a `Reading`.
        black: value of black pixels.
        white: value of white pixels.
        origin: "given" by the user, who wants values beyond to be clipped; of a "run", or of the
            "pixels": values beyond are refused.
        note: comparison with the range of a run of another kind of pixels, or empty.
    """

    kind: str
    black: float
    white: float
    origin: Literal["given", "run", "pixels"] = "pixels"
    note: str = ""

    @property
    def reading(self) -> Reading:
        return Reading(pixels=self.kind, black=self.black, white=self.white)

    def is_beyond(self, low: Any, high: Any) -> Any:
        """Return whether images, whose smallest and largest values are given, are not inside."""
        least, most = sorted((self.black, self.white))
        slack = _TOLERANCE * (most - least) if self.kind == "float" else 0.0
        return (low < least - slack) | (high > most + slack)

    def check(self, low: float, high: float) -> None:
        """Raise UserError, the reason alone, for values that are neither inside nor clipped."""
        if self.origin != "given" and self.is_beyond(low, high):
            raise UserError(
                f"values from {low:g} to {high:g}, outside the range from {self.black:g} (black) "
                f"to {self.white:g} (white)"
            )

    def describe(
        self, low: float, high: float, n_beyond: int, n: int, options: SourceOptions
    ) -> str:
        """Return a clause on the range and the values in it, empty if the notes of a run have it.

        `n_beyond` of n images are clipped.
        """
        if self.reading == options.reading and not n_beyond:
            return ""
        text = f"values {low:g} to {high:g}; {self.black:g} is black and {self.white:g} is white"
        text += f"{'' if options.reading else ' (--pixel-range)'}{self.note}"
        if n_beyond:
            text += f"; {n_beyond:,} ({n_beyond / n:.1%}) have values beyond, which are clipped"
        share = (high - low) / abs(self.white - self.black)
        if 0 < share < _LOW_USE and self.origin == "pixels" and options.reading is None:
            text += (
                f", of which they use {share:.1%}; if they should use all of it, give --pixel-range"
                f" {low:g} {high:g}"
            )
        return text


def decide_range(
    kind: str,
    low: float,
    high: float,
    options: SourceOptions,
    what: str,
    *,
    is_main: bool = True,
    is_alone: bool = True,
) -> PixelRange:
    """Decide the range of all pixels of a kind in a source.

    It is that of a run whose pixels are of the same kind, or that of the options, or else the usual
    one: 0 to 255 for 8 bits; 0 to the largest value of 10, 12, 14 or 16 bits for deeper integers,
    the first that is not exceeded; [0, 1] or [-1, 1] for floats.

    Args:
        kind: kind of the pixels.
        low: smallest value.
        high: largest value.
        options: options of the source.
        what: name of the source in messages.
        is_main: whether most pixels are of this kind; the range of the options is for these.
        is_alone: whether all are; among others, few values of 16 bits show no bits in use.

    Raises:
        UserError: other values, and no range is given for them.
    """
    known = options.reading if options.reading and options.reading.pixels else None
    if kind == "bool":
        return PixelRange(kind, 0.0, 1.0)
    note = ""
    if known is not None:
        if _is_same(kind, known.pixels):
            origin: Literal["given", "run"] = "given" if options.pixel_range else "run"
            return PixelRange(kind, known.black, known.white, origin)
        note = f" (in the run's {known.pixels} pixels {known.black:g} and {known.white:g})"
    elif options.pixel_range is not None and is_main:
        black, white = options.pixel_range
        return PixelRange(kind, float(black), float(white), "given")
    if kind == "float":
        return PixelRange(kind, _black_of_floats(low, high, what), 1.0, note=note)
    if low < 0 or high > _WHITES[-1] or high == 1:
        advice = "--pixel-range " + ("0 1, or bool" if high == 1 else "LOW HIGH")
        raise UserError(
            f"{what} has integers from {low:g} to {high:g}, and it is unclear which are black and "
            f"white; give {advice} (pixel_range in Python)."
        )
    is_deep = kind == "uint16" and not (is_alone and known is None)
    white = _WHITES[-1] if is_deep else min(white for white in _WHITES if high <= white)
    return PixelRange(kind, 0.0, float(white), note=note)


def decide_ranges(
    facts: Sequence[ImageFacts], options: SourceOptions
) -> tuple[dict[str, PixelRange], Reading]:
    """Return the range of each kind of pixels in measured image files, and that of most files.

    16 bits and other integers of more than 8 bits have one range.
    """
    units: dict[str, list[ImageFacts]] = {}
    for each in facts:
        units.setdefault("integer" if each.kind == "uint16" else each.kind, []).append(each)
    main = max(units, key=lambda unit: len(units[unit]), default="uint8")
    ranges: dict[str, PixelRange] = {}
    reading = Reading(pixels="uint8", white=255.0)
    for unit, files in units.items():
        kinds = {each.kind for each in files}
        decided = decide_range(
            "uint16" if "uint16" in kinds else unit,
            min(each.low for each in files),
            max(each.high for each in files),
            options,
            "The source",
            is_main=unit == main,
            is_alone=len(units) == 1,
        )
        ranges |= {kind: decided._replace(kind=kind) for kind in kinds}
        if unit == main:
            reading = decided._replace(kind=unit if len(kinds) > 1 else decided.kind).reading
    return ranges, reading


def read_range(
    values: NDArray[Any], missing: NDArray[np.bool_] | None, options: SourceOptions, what: str
) -> tuple[Reading, str]:
    """Decide the range of an array; return it, and a clause for a note if no run's notes have it.

    Args:
        values: (N, H, W, C); NaN is missing.
        missing: bool (N, H, W, C), True where a pixel is missing, or None.
        options: options of the source.
        what: name of the array in messages.

    Raises:
        UserError: values outside the range, infinity, or nothing but missing pixels.
    """
    kind = kind_of(values.dtype)
    sample = values[:: max(1, len(values) // _SAMPLE)]
    if kind == "uint8" and sample.max() >= 255 * _LOW_USE:
        decided = decide_range(kind, 0, 255, options, what)
        if (decided.black, decided.white) == (0, 255):
            # Any value is in the range and the use is not low: a large file is not read for it.
            is_new = decided.reading != options.reading
            return decided.reading, f"0 is black and 255 is white{decided.note}" * is_new
    lows, highs = _bounds(values, missing, what)
    low, high = np.fmin.reduce(lows).item(), np.fmax.reduce(highs).item()
    decided = decide_range(kind, low, high, options, what)
    try:
        decided.check(low, high)
    except UserError as error:
        raise UserError(f"{what} has {error}; scale them to that range.") from None
    n_beyond = int(decided.is_beyond(lows, highs).sum())
    return decided.reading, decided.describe(low, high, n_beyond, len(values), options)


def chunks(values: NDArray[Any]) -> Iterator[slice]:
    """Return slices of rows of about 4 MiB."""
    step = max(1, _CHUNK_BYTES // max(1, values[0].nbytes))
    for start in range(0, len(values), step):
        yield slice(start, start + step)


def _is_same(kind: str, known: str) -> bool:
    """Return whether pixels of a kind are in the units of a run of another."""
    # NumPy's default integers hold those of any image.
    integers = ("integer", "uint16") if kind == "uint16" else ("integer", "uint16", "uint8")
    return known == kind or (kind in ("uint16", "integer") and known in integers)


def _black_of_floats(low: float, high: float, what: str) -> float:
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        return 0.0
    # Values a little below 0 are those of [0, 1] after a filter, or of [-1, 1] without dark ones.
    if -1 - _TOLERANCE <= low < -0.5 and high <= 1 + _TOLERANCE:
        return -1.0
    is_near = low > -2 and high < 2
    advice = "--pixel-range 0 1 or --pixel-range -1 1" if is_near else "--pixel-range LOW HIGH"
    raise UserError(
        f"{what} has float pixels from {low:g} to {high:g}, which are clearly neither in [0, 1] nor"
        f" in [-1, 1]; give their black and white as {advice} (in Python as pixel_range), which"
        " clips values beyond."
    )


def kind_of(dtype: np.dtype[Any]) -> str:
    """Return the kind of the pixels of an array of a dtype, as in a `Reading`."""
    if dtype.kind in "iu":
        return dtype.name if dtype.name in ("uint8", "uint16") else "integer"
    return "bool" if dtype.kind == "b" else "float"


def _bounds(
    values: NDArray[Any], missing: NDArray[np.bool_] | None, what: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the smallest and the largest value of each image, NaN without any."""
    lows, highs = [], []
    for rows in chunks(values):
        chunk = values[rows]
        if missing is not None:
            chunk = np.where(missing[rows], np.nan, chunk)
        lows.append(np.fmin.reduce(chunk, axis=(1, 2, 3)))
        highs.append(np.fmax.reduce(chunk, axis=(1, 2, 3)))
    low, high = np.concatenate(lows), np.concatenate(highs)
    if np.isnan(low).all():
        raise UserError(f"{what} has no pixel that is not missing (NaN or masked); repair it.")
    if np.isinf(low).any() or np.isinf(high).any():
        raise UserError(
            f"{what} has infinity among its pixels; repair those images, or give NaN where a pixel"
            " is missing."
        )
    return low, high
