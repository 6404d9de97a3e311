"""Maps of the codes: each example a dot, in the plane where codes spread, or labels part, most."""

import numpy as np
import torch
from torch import Tensor

from glo.latents.directions import principal_directions
from glo.report.blocks import Key, Plot, Section
from glo.report.context import Labels, ReportContext
from glo.report.svg import axes_style, new_axes, to_svg
from glo.utils.random import permutation

__all__ = ["codemap"]

_DOTS = 6000
# Petroff, "Accessible color sequences for data visualization" (2021): ten colours that are told
# apart with every kind of colour vision.
_COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
_OTHERS = "#808080"
# A drawing's font lacks most scripts of the world; the legend, in the page's font, has every name.
_LONGEST = 12

_Groups = list[tuple[str, str, Tensor]]


def codemap(material: ReportContext) -> Section:
    """Draw the codes in planes, coloured by label."""
    codes, labels = material.run.codes, material.labels
    rows = permutation(len(codes), 0, 0)[:_DOTS].sort().values
    values = None if labels is None else labels.values[rows]
    groups = _groups(len(rows), values, labels)
    with axes_style():
        plots = [_principal(codes, rows, groups)]
        if values is not None and _can_part(codes[rows], values):
            plots.append(_parted(codes[rows], values, groups))
    shown = f"{len(rows):,} of {len(codes):,}" if len(rows) < len(codes) else f"All {len(codes):,}"
    text = [f"{shown} codes, each a dot."]
    if labels is None:
        text.append("There are no labels to colour them by.")
    return Section(
        anchor="map",
        title="Map of the codes",
        text=(" ".join(text),),
        items=tuple(plots),
        columns=2,
    )


def _principal(codes: Tensor, rows: Tensor, groups: _Groups) -> Plot:
    directions = principal_directions(codes, min(2, *codes.shape))
    flat = _plane((codes[rows] - directions.mean) @ directions.components.T)
    held = " and ".join(f"{100 * float(share):.0f} %" for share in directions.shares)
    caption = f"Principal directions: they hold {held} of the variance of the codes"
    return _draw(flat, groups, "principal", "the first two principal directions", caption)


def _can_part(codes: Tensor, values: Tensor) -> bool:
    """Whether the labels leave two directions, and more codes than the directions need."""
    kinds = len(values.unique())
    return kinds > 2 and len(codes) > 2 * kinds and float(codes.std(0).max()) > 0


def _parted(codes: Tensor, values: Tensor, groups: _Groups) -> Plot:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(
        solver="eigen", shrinkage=0.01, n_components=min(2, codes.shape[1])
    )
    found = model.fit_transform(codes.double().numpy(), values.numpy())
    flat = _plane(torch.from_numpy(np.ascontiguousarray(found)).float())
    caption = "Linear discriminants: the directions that tell the labels apart best"
    return _draw(flat, groups, "parted", "the first two linear discriminants", caption)


def _plane(places: Tensor) -> Tensor:
    """Return places (n, 2): on a line where there is one direction."""
    if places.shape[1] == 2:
        return places
    return torch.cat([places, torch.zeros_like(places)], dim=1)


def _draw(flat: Tensor, groups: _Groups, name: str, plane: str, caption: str) -> Plot:
    axes = new_axes(1.0, 1.5)
    for colour, _, inside in groups:
        x, y = flat[inside].T.numpy()
        # As pixels: thousands of shapes would make a page of many megabytes.
        axes.scatter(x, y, s=3, c=colour, linewidths=0, alpha=0.8, rasterized=True)
    for _, label, inside in groups if name == "parted" else ():
        if label.isascii() and len(label) <= _LONGEST:
            x, y = flat[inside].median(0).values.tolist()
            axes.text(x, y, label, ha="center", va="center", weight="bold", size=12)
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    names = ", ".join(label for _, label, _ in groups if label)
    alt = f"The codes in {plane}{f', coloured by label: {names}' if names else ''}."
    keys = tuple(Key(colour=colour, text=label) for colour, label, _ in groups if label)
    return Plot(svg=to_svg(axes, name, alt), caption=caption, keys=keys)


def _groups(n: int, values: Tensor | None, labels: Labels | None) -> _Groups:
    """Return a colour, a name and the dots of each label; the most frequent have colours."""
    if values is None or labels is None:
        return [(_COLOURS[0], "", torch.ones(n, dtype=torch.bool))]
    known, counts = values.unique(return_counts=True)
    kept = known[counts.argsort(descending=True, stable=True)[: len(_COLOURS)]].sort().values
    groups = [
        (colour, labels.name(int(label)), values == label)
        for colour, label in zip(_COLOURS, kept.tolist(), strict=False)
    ]
    rest = ~torch.isin(values, kept)
    return [(_OTHERS, "others", rest), *groups] if bool(rest.any()) else groups
