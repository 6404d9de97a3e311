"""Facts about decoded image files, and the sentences that report how they were read."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from glo.data.options import SourceOptions
from glo.data.readers.color_profiles import BROKEN
from glo.data.readers.deep_images import PixelKind
from glo.data.readers.images import Decoded
from glo.data.readers.pixel_ranges import PixelRanges

__all__ = ["ImageFacts", "describe_images"]

# Part of the range from black to white below which images look flat or dark.
_NARROW = 0.25
_DEPTHS = {"uint8": "8-bit", "uint16": "16-bit", "integer": "integer", "float": "float"}
_FIT = {"center": "cropped and resized", "pad": "resized and padded", "stretch": "stretched"}


class ImageFacts(NamedTuple):
    """Facts about one decoded file.

    Attributes:
        kind: kind of the values.
        low: smallest value.
        high: largest value.
        is_color: whether the image is in color.
        size: width and height when upright.
        has_frames: whether the file has more than one page or frame.
        profile: "converted", "broken" or empty, as in `Decoded`.
    """

    kind: PixelKind
    low: float
    high: float
    is_color: bool
    size: tuple[int, int]
    has_frames: bool
    profile: str

    @classmethod
    def of(cls, decoded: Decoded) -> "ImageFacts":
        """Return the facts about a decoded image."""
        height, width, channels = decoded.pixels.shape
        return cls(
            decoded.kind,
            decoded.low,
            decoded.high,
            channels == 3,
            (width, height),
            decoded.has_frames,
            decoded.profile,
        )


def describe_images(
    facts: Counter[ImageFacts],
    ranges: PixelRanges,
    shape: tuple[int, int, int],
    options: SourceOptions,
) -> list[str]:
    """Return one sentence for each decision about the images, which became rows (H, W, C).

    Args:
        facts: number of images of equal facts.
        ranges: black and white of the source.
        shape: height, width and channels of the rows.
        options: options of the source.
    """
    if not facts:
        return []
    kinds = list(dict.fromkeys(each.kind for each in facts))
    notes = [note for kind in kinds for note in _describe_range(kind, facts, ranges)]
    if len(kinds) > 1:
        notes.append("The images differ in depth; each kind is scaled by a range of its own.")
    notes += _describe_channels(facts, shape[2], options)
    notes += _describe_sizes({each.size for each in facts}, shape[:2], options)
    for n, text in (
        (
            _count(facts, lambda each: each.has_frames),
            "have several pages or frames; the first is used",
        ),
        (
            _count(facts, lambda each: each.profile == "converted"),
            "have a color profile other than sRGB and are converted to sRGB",
        ),
        (
            _count(facts, lambda each: each.profile == BROKEN),
            "have a color profile that is damaged or does not fit; it is ignored",
        ),
    ):
        if n:
            notes.append(f"{n:,} of {facts.total():,} images {text}.")
    return notes


def _count(facts: Counter[ImageFacts], condition: Callable[[ImageFacts], bool]) -> int:
    return sum(n for each, n in facts.items() if condition(each))


def _describe_range(kind: PixelKind, facts: Counter[ImageFacts], ranges: PixelRanges) -> list[str]:
    black, white, _ = ranges.of(kind)
    of_kind = [each for each in facts if each.kind == kind]
    low, high = min(each.low for each in of_kind), max(each.high for each in of_kind)
    n = _count(facts, lambda each: each.kind == kind)
    colors = {each.is_color for each in of_kind}
    color = " gray" if colors == {False} else " color" if colors == {True} else ""
    is_outside = low < min(black, white) or high > max(black, white)
    notes = [
        f"{n:,} image{'s' * (n > 1)}, {_DEPTHS[kind]}{color}, values {low:g} to {high:g}; "
        f"{black:g} is black and {white:g} is white (--pixel-range)"
        f"{', values beyond are clipped' * is_outside}."
    ]
    used = (high - low) / abs(white - black)
    if used < _NARROW:
        notes.append(
            f"The values {low:g} to {high:g} are {100 * used:.2g} % of the range from black to "
            f"white; for full contrast give their own range, --pixel-range {low:g} {high:g}."
            if low < high
            else f"All values are {low:g}."
        )
    return notes


def _describe_channels(
    facts: Counter[ImageFacts], channels: int, options: SourceOptions
) -> list[str]:
    n_color = _count(facts, lambda each: each.is_color)
    count = f"{n_color:,} of {facts.total():,} images are in color"
    if channels == 1 and n_color:
        return [f"{count}, and are read as gray (--channels 3 for color)."]
    if options.channels is None and 0 < n_color < facts.total():
        return [f"{count}, so all are read as color (--channels 1 for gray)."]
    return []


def _describe_sizes(
    sizes: set[tuple[int, int]], size: tuple[int, int], options: SourceOptions
) -> list[str]:
    height, width = size
    if sizes == {(width, height)}:
        return []
    areas = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    texts = [f"{wide} x {high}" for wide, high in (areas[0], areas[-1])]
    found = f"Sizes from {texts[0]} to {texts[1]}" if len(sizes) > 1 else f"Size {texts[0]}"
    return [f"{found}; {_FIT[options.crop]} to {width} x {height} (--size, --crop)."]
