"""Training images above their reconstructions, from the best to the worst."""

import torch

from glo.report.blocks import Picture, Section
from glo.report.context import ReportContext
from glo.report.sheets import sheet
from glo.utils.row_ranges import evenly_spaced

__all__ = ["pairs"]

_SHOWN = 8
_UNSORTED = 32
_QUANTILES = (
    (0.0, "The best"),
    (0.25, "A quarter is better"),
    (0.5, "The middle"),
    (0.75, "Three quarters are better"),
    (0.95, "95 % are better"),
    (1.0, "The worst"),
)


def pairs(material: ReportContext) -> Section:
    """Show reconstructions below their originals at quantiles of the error."""
    sorted_by_error = len(material.rows) > 0
    if not sorted_by_error:
        text = f"{material.absent} So these are reconstructions alone, in the order of the data."
    elif material.samples is None:
        text = f"{material.absent} So these are reconstructions alone, sorted by their error."
    else:
        text = "Above: training examples. Below each: what the decoder makes of its code."
    places = _places(len(material.rows))
    return Section(
        anchor="reconstructions",
        title="Reconstructions" + (", from best to worst" if len(material.rows) > 1 else ""),
        text=(text,),
        items=tuple(_pair(material, *each) for each in places)
        if sorted_by_error
        else (_unsorted(material),),
        columns=3 if sorted_by_error else 1,
    )


def _places(n: int) -> list[tuple[slice, str]]:
    """Return where the quantiles lie among n sorted rows; a small set is shown as a whole."""
    if n <= _SHOWN:
        return [(slice(0, n), "All examples" if n > 1 else "The only example")]
    if n < len(_QUANTILES) * _SHOWN:
        return [(slice(0, _SHOWN), "The best"), (slice(max(_SHOWN, n - _SHOWN), n), "The worst")]
    last = n - _SHOWN
    starts = [(min(int(share * n), last), name) for share, name in _QUANTILES]
    return [(slice(first, first + _SHOWN), name) for first, name in starts]


def _pair(material: ReportContext, place: slice, name: str) -> Picture:
    rows, errors = material.rows[place], material.errors[place]
    low, high = (f"{float(error):.4f}" for error in (errors[0], errors[-1]))
    span = f"error {low}" if low == high else f"errors {low} to {high}"
    images = material.decoded(material.run.codes[rows])
    alt = f"{name}: reconstructions"
    if material.samples is not None:
        images = torch.cat([material.samples.batch(rows), images])
        alt = f"{name}: training examples above their reconstructions"
    return sheet(images, columns=len(rows), alt=alt, caption=f"{name}: {span}")


def _unsorted(material: ReportContext) -> Picture:
    n = material.run.data.n
    rows = evenly_spaced(n, min(_UNSORTED, n))
    images = material.decoded(material.run.codes[rows])
    return sheet(images, columns=min(len(rows), _SHOWN), alt="Reconstructions")
