"""Section of reconstructed images, from the smallest to the largest error."""

import torch

from glo.report.blocks import Picture, Section
from glo.report.context import ReportContext
from glo.report.sheets import sheet
from glo.utils.row_ranges import evenly_spaced

__all__ = ["reconstructions_section"]

_COLUMNS = 8
_UNSORTED = 32
_QUANTILES = (
    (0.0, "The best"),
    (0.25, "A quarter is better"),
    (0.5, "The middle"),
    (0.75, "Three quarters are better"),
    (0.95, "95 % are better"),
    (1.0, "The worst"),
)


def reconstructions_section(context: ReportContext) -> Section:
    """Draw reconstructions below their originals at quantiles of the error."""
    n = len(context.rows)
    if not n:
        order = "in the order of the data"
        items: tuple[Picture, ...] = (_unsorted(context),)
    else:
        order = "sorted by their error"
        items = tuple(_pairs(context, *each) for each in _places(n))
    text = f"{context.missing_data} So these are reconstructions alone, {order}."
    if n and context.dataset is not None:
        text = (
            "Above: training examples. Below each: its reconstruction from its code. They are "
            "sorted from best to worst."
        )
    return Section(text=(text,), items=items, columns=3 if n else 1)


def _places(n: int) -> list[tuple[slice, str]]:
    """Return the slices of n sorted rows at the quantiles; small sets are shown completely."""
    if n <= _COLUMNS:
        return [(slice(0, n), "All examples" if n > 1 else "The only example")]
    if n < len(_QUANTILES) * _COLUMNS:
        return [(slice(0, _COLUMNS), "The best"), (slice(n - _COLUMNS, n), "The worst")]
    last = n - _COLUMNS
    starts = [(min(int(share * n), last), name) for share, name in _QUANTILES]
    return [(slice(start, start + _COLUMNS), name) for start, name in starts]


def _pairs(context: ReportContext, place: slice, name: str) -> Picture:
    rows, errors = context.rows[place], context.errors[place]
    low, high = (f"{float(error):.4f}" for error in (errors[0], errors[-1]))
    span = f"error {low}" if low == high else f"errors {low} to {high}"
    named = context.run.row_ids.describe(rows.tolist())
    images = context.decode(context.run.codes[rows])
    alt = f"{name}: reconstructions"
    if context.dataset is not None:
        images = torch.cat([context.dataset.batch(rows), images])
        alt = f"{name}: training examples above their reconstructions"
    return sheet(images, columns=len(rows), alt=alt, caption=f"{name}: {span}; {named}")


def _unsorted(context: ReportContext) -> Picture:
    n = context.run.data.n
    rows = evenly_spaced(n, min(_UNSORTED, n))
    images = context.decode(context.run.codes[rows])
    return sheet(images, columns=min(len(rows), _COLUMNS), alt="Reconstructions")
