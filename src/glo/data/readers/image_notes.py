"""Sentences that report how image files were read."""

from collections import Counter
from collections.abc import Callable, Mapping

from glo.data.options import SourceOptions
from glo.data.readers.color_profiles import BROKEN
from glo.data.readers.images import ImageFacts
from glo.data.readers.pixel_range import PixelRange

__all__ = ["describe_images"]

_DEPTHS = {"uint8": "8-bit", "uint16": "16-bit"}
_FIT = {"center": "cropped and resized", "pad": "resized and padded", "stretch": "stretched"}
_REPORTED: tuple[tuple[str, Callable[[ImageFacts], bool]], ...] = (
    ("have several pages or frames; the first is used", lambda each: each.has_frames),
    (
        "have a color profile other than sRGB and are converted to sRGB",
        lambda each: each.profile == "converted",
    ),
    (
        "have a color profile that is damaged or does not fit; it is ignored",
        lambda each: each.profile == BROKEN,
    ),
    (
        "have an alpha channel by which everything is transparent; it is ignored",
        lambda each: each.has_empty_alpha,
    ),
)
_COLOR = " (--channels 3 for color)"


def describe_images(
    facts: Counter[ImageFacts],
    ranges: Mapping[str, PixelRange],
    shape: tuple[int, int, int],
    options: SourceOptions,
) -> list[str]:
    """Return one sentence for each decision about the images, which became rows (H, W, C).

    Args:
        facts: number of images of equal facts.
        ranges: black and white of each kind of values.
        shape: height, width and channels of the rows.
        options: options of the source.
    """
    if not facts:
        return []
    kinds = list(dict.fromkeys(each.kind for each in facts))
    notes = [text for kind in kinds if (text := _describe_range(ranges[kind], facts, options))]
    if len(kinds) > 1:
        notes.append("The images differ in depth; each kind is scaled by a range of its own.")
    notes += _describe_channels(facts, shape[2], options)
    notes += _describe_sizes({(each.height, each.width) for each in facts}, shape, options)
    counts = [(_count(facts, condition), text) for text, condition in _REPORTED]
    return notes + [f"{n:,} of {facts.total():,} images {text}." for n, text in counts if n]


def _count(facts: Counter[ImageFacts], condition: Callable[[ImageFacts], bool]) -> int:
    return sum(n for each, n in facts.items() if condition(each))


def _describe_range(decided: PixelRange, facts: Counter[ImageFacts], options: SourceOptions) -> str:
    of_kind = Counter({each: n for each, n in facts.items() if each.kind == decided.kind})
    n, colors = of_kind.total(), {each.is_color for each in of_kind}
    n_beyond = _count(of_kind, lambda each: decided.is_beyond(each.low, each.high))
    low, high = min(each.low for each in of_kind), max(each.high for each in of_kind)
    color = "" if len(colors) > 1 else " color" if colors == {True} else " gray"
    text = decided.describe(low, high, n_beyond, n, options)
    depth = _DEPTHS.get(decided.kind, decided.kind)
    return text and f"{n:,} image{'s' * (n > 1)}, {depth}{color}, {text}."


def _describe_channels(
    facts: Counter[ImageFacts], channels: int, options: SourceOptions
) -> list[str]:
    n_color = _count(facts, lambda each: each.is_color)
    count = f"{n_color:,} of {facts.total():,} images are in color"
    if channels == 1 and n_color:
        return [f"{count}, and are read as gray{'' if options.reading else _COLOR}."]
    if options.channels is None and 0 < n_color < facts.total():
        return [f"{count}, so all are read as color (--channels 1 for gray)."]
    return []


def _describe_sizes(
    sizes: set[tuple[int, int]], shape: tuple[int, int, int], options: SourceOptions
) -> list[str]:
    height, width, _ = shape
    if sizes == {(height, width)}:
        return []
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    first, last = (f"{wide} x {high}" for high, wide in (by_area[0], by_area[-1]))
    found = f"Sizes from {first} to {last}" if len(sizes) > 1 else f"Size {first}"
    advice = "" if options.reading else " (--size, --crop)"
    return [f"{found}; {_FIT[options.crop]} to {width} x {height}{advice}."]
