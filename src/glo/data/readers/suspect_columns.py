"""Columns of vectors that are not what they seem: without values, or with numbers for gaps."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.data.readers.pixel_range import chunks
from glo.errors import listed

__all__ = ["Ranges", "blank_columns", "column_ranges", "gap_notes", "suspect_notes"]

# Numbers that programs without NaN write for a gap, and from how many rows they are told apart
# from an extreme value: their number, or their share of all rows.
_GAPS = (-99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0)
_MIN_COUNT, _MIN_SHARE = 2, 0.01
# Distance from all other values, in their standard deviations.
_MIN_DISTANCE = 3

Ranges = tuple[NDArray[Any], NDArray[Any]]


def suspect_notes(
    values: NDArray[Any], names: Sequence[str] = (), ranges: Ranges | None = None
) -> tuple[str, ...]:
    """Return a sentence on the columns of vectors (N, F) without values, and one for each gap mark.

    Args:
        names: F names of the columns; none: numbers from 0.
        ranges: `column_ranges(values)`, if they are known.
    """
    ranges = ranges or column_ranges(values)
    spelled = [f"'{n}'" for n in names] or [f"{n} (from 0)" for n in range(values.shape[1])]
    blank = [spelled[place] for place in np.flatnonzero(blank_columns(ranges)).tolist()]
    notes = [f"{note}." for note in gap_notes(values, spelled, ranges, lambda _: "give NaN")]
    if blank:
        notes.insert(0, f"columns without a value, which nothing is learned of: {listed(blank)}.")
    return tuple(notes)


def blank_columns(ranges: Ranges) -> NDArray[np.bool_]:
    """Return whether each column has no value, bool (F,)."""
    blank: NDArray[np.bool_] = ranges[0] > ranges[1]
    return blank


def gap_notes(
    values: NDArray[Any], names: Sequence[str], ranges: Ranges, advice: Callable[[str], str]
) -> Iterator[str]:
    """Yield a sentence for each column whose extreme is a usual mark of a gap, far from the rest.

    Args:
        names: F names of the columns as the sentence has them.
        ranges: `column_ranges(values)`.
        advice: function from a mark to what can be done.
    """
    low, high = ranges
    for place in np.flatnonzero(np.isin(low, _GAPS) | np.isin(high, _GAPS)).tolist():
        column = values[:, place].astype(np.float64)
        rest = column[np.isfinite(column) & ~np.isin(column, _GAPS)]
        for mark in {low[place], high[place]}.intersection(_GAPS):
            count = int((column == mark).sum())
            is_frequent = count >= min(_MIN_COUNT, _MIN_SHARE * len(column))
            if rest.size and is_frequent and abs(rest - mark).min() > _MIN_DISTANCE * rest.std():
                yield (
                    f"column {names[place]} has {mark:g} {count:,} times, far from its other "
                    f"values; if it marks a gap, {advice(f'{mark:g}')}"
                )


def column_ranges(values: NDArray[Any]) -> Ranges:
    """Return the least and the largest value of each column; infinity and its negative of none."""
    low, high = np.full(values.shape[1], np.inf), np.full(values.shape[1], -np.inf)
    for part in chunks(values):
        low = np.fmin(low, np.fmin.reduce(values[part], axis=0))
        high = np.fmax(high, np.fmax.reduce(values[part], axis=0))
    return low, high
