"""Values of black and white in the image files of a source, decided once for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from glo.data.options import SourceOptions
from glo.data.readers.deep_images import PixelKind
from glo.data.readers.images import FULL_RANGES, Decoded, Probe
from glo.data.reading import Reading
from glo.errors import UserError

__all__ = ["PixelRanges", "decide_ranges"]

_WHITES = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16))
# Ranges that are decided without --pixel-range.
_USUAL = frozenset({*((0.0, white) for white in _WHITES), (0.0, 1.0), (-1.0, 1.0)})
# Rounding of values that should end at black or white, relative to their difference.
_TOLERANCE = 1e-4


class PixelRange(NamedTuple):
    """Values of black and white; a file with values beyond is refused unless they are clipped."""

    black: float
    white: float
    is_clipped: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class PixelRanges:
    """Values of black and white in a source.

    Attributes:
        ranges: range of each kind of values in the source.
        reading: reading of the source: kind and range of most files.
    """

    ranges: Mapping[PixelKind, PixelRange]
    reading: Reading

    def of(self, kind: PixelKind) -> PixelRange:
        """Return the range of a kind of values, also of one that no probed file has."""
        return self.ranges.get(kind) or PixelRange(*FULL_RANGES[kind])

    def to_uint8(self, decoded: Decoded) -> NDArray[np.uint8]:
        """Scale the pixels of an image to uint8; UserError with values beyond black and white."""
        black, white, is_clipped = self.of(decoded.kind)
        low, high = sorted((black, white))
        tolerance = _TOLERANCE * (high - low)
        is_inside = low - tolerance <= decoded.low <= decoded.high <= high + tolerance
        if not (is_inside or is_clipped):
            raise UserError(
                f"values from {decoded.low:g} to {decoded.high:g}, where {black:g} is black and "
                f"{white:g} is white"
            )
        return decoded.to_uint8(black, white)


def decide_ranges(probes: Sequence[Probe], options: SourceOptions) -> PixelRanges:
    """Decide the values of black and white from measured probes of all files of a source.

    Files in the unit of `options.reading` are read by it. Without one `options.pixel_range` holds
    for the unit of most files: 8 bits, deeper integers, or floats. All others have their own range:
    0 to 255 for 8 bits; 0 to the largest value of 10, 12, 14 or 16 bits for deeper integers, the
    first that no value exceeds, if there are no files of other units; 0 or -1 to 1 for floats.

    Raises:
        UserError: other values, and no range is given for them.
    """
    by_unit: dict[str, list[Probe]] = {}
    for each in probes:
        by_unit.setdefault(_unit(each.kind), []).append(each)
    main = max(by_unit, key=lambda unit: len(by_unit[unit]), default="uint8")
    decided = {
        unit: _given_range(unit, unit == main, options)
        or _own_range(unit, measured, is_alone=len(by_unit) == 1 and options.reading is None)
        for unit, measured in by_unit.items()
    }
    ranges = {each.kind: decided[_unit(each.kind)] for each in probes}
    kinds = [kind for kind in ranges if _unit(kind) == main]
    pixels = kinds[0] if len(kinds) == 1 else main
    black, white, _ = decided.get(main) or PixelRange(*FULL_RANGES["uint8"])
    return PixelRanges(ranges=ranges, reading=Reading(pixels=pixels, black=black, white=white))


def _unit(kind: str) -> str:
    return "integer" if kind == "uint16" else kind


def _given_range(unit: str, is_main: bool, options: SourceOptions) -> PixelRange | None:
    reading = options.reading
    if reading is not None and reading.pixels:
        if _unit(reading.pixels) != unit:
            return None
        # Another range was given for the training data, whose other values were clipped.
        is_usual = (reading.black, reading.white) in _USUAL
        is_clipped = options.pixel_range is not None or not is_usual
        return PixelRange(reading.black, reading.white, is_clipped)
    if options.pixel_range is None or not is_main:
        return None
    return PixelRange(*options.pixel_range, is_clipped=True)


def _own_range(unit: str, probes: Sequence[Probe], *, is_alone: bool) -> PixelRange:
    low, high = min(each.low for each in probes), max(each.high for each in probes)
    if unit == "uint8":
        return PixelRange(*FULL_RANGES["uint8"])
    if unit == "float" and low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE:
        return PixelRange(0.0 if low >= -_TOLERANCE else -1.0, 1.0)
    if unit == "float" or low < 0 or high > _WHITES[-1]:
        allowed = "from 0 to 1 or from -1 to 1" if unit == "float" else "from 0 to 65535"
        raise UserError(
            f"The images have values from {low:g} to {high:g}, and without --pixel-range {allowed} "
            f"are allowed; give --pixel-range LOW HIGH, the values of black and white."
        )
    # Among files of other depths, and after training on others, few values show no bits in use.
    return PixelRange(0.0, min(w for w in _WHITES if high <= w) if is_alone else _WHITES[-1])
