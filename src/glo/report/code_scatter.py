"""Section of scatter plots of the codes, by principal directions and by linear discriminants."""

import numpy as np
import torch
from torch import Tensor

from glo.imaging.plots import color_groups
from glo.latents.directions import principal_directions
from glo.report.blocks import Plot, Section
from glo.report.context import ReportContext
from glo.report.svg import axes_style, new_axes, to_plot
from glo.utils.random import permutation

__all__ = ["code_scatter_section"]

_MAX_DOTS = 6000
# Only the legend, in the font of the page, has long names and all scripts.
_MAX_LABEL_LENGTH = 12

# Color, name and mask of the dots of one label.
_Groups = list[tuple[str, str, Tensor]]


def code_scatter_section(context: ReportContext) -> Section:
    """Draw the codes in planes, colored by label."""
    codes, labels = context.run.codes, context.labels
    rows = permutation(len(codes), 0, 0)[:_MAX_DOTS].sort().values
    values = None if labels is None else labels[rows]
    groups = color_groups(len(rows), values, context.label_names)
    with axes_style():
        plots = [_principal(codes, rows, groups)]
        # Rows without a label are no class of their own.
        known = None if values is None else values >= 0
        if values is not None and _has_discriminants(codes[rows][known], values[known]):
            named = [(c, name, mask[known]) for c, name, mask in groups if mask[known].any()]
            plots.append(_discriminants(codes[rows][known], values[known], named))
    count = f"{len(rows):,} of {len(codes):,}" if len(rows) < len(codes) else f"All {len(codes):,}"
    unlabeled = " There are no labels to color them by." if labels is None else ""
    return Section(text=(f"{count} codes, each a dot.{unlabeled}",), items=tuple(plots), columns=2)


def _principal(codes: Tensor, rows: Tensor, groups: _Groups) -> Plot:
    directions = principal_directions(codes, min(2, *codes.shape))
    points = (codes[rows] - directions.mean) @ directions.components.T
    shares = " and ".join(f"{100 * float(share):.0f} %" for share in directions.shares)
    caption = f"Principal directions: they hold {shares} of the variance of the codes"
    return _scatter(points, groups, "principal", "the first two principal directions", caption)


def _has_discriminants(codes: Tensor, values: Tensor) -> bool:
    """Return whether there are labels for two directions, and codes that vary within them."""
    labels = values.unique()
    if len(labels) < 3 or len(codes) <= 2 * len(labels):
        return False
    groups = (codes[values == label] for label in labels)
    return any(bool((group != group[0]).any()) for group in groups)


def _discriminants(codes: Tensor, values: Tensor, groups: _Groups) -> Plot:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(
        solver="eigen", shrinkage=0.01, n_components=min(2, codes.shape[1])
    )
    points = model.fit_transform(codes.double().numpy(), values.numpy())
    points = torch.from_numpy(np.ascontiguousarray(points)).float()
    caption = "Linear discriminants: the directions that separate the labels best"
    return _scatter(points, groups, "discriminants", "the first two linear discriminants", caption)


def _scatter(points: Tensor, groups: _Groups, name: str, plane: str, caption: str) -> Plot:
    if points.shape[1] == 1:
        points = torch.cat([points, torch.zeros_like(points)], dim=1)
    axes = new_axes(1.0, 1.5)
    for colour, _, mask in groups:
        x, y = points[mask].T.numpy()
        # As pixels: thousands of shapes would make a page of many megabytes.
        axes.scatter(x, y, s=3, c=colour, linewidths=0, alpha=0.8, rasterized=True)
    for _, label, mask in groups if name == "discriminants" else ():
        if label.isascii() and len(label) <= _MAX_LABEL_LENGTH:
            x, y = points[mask].median(0).values.tolist()
            axes.text(x, y, label, ha="center", va="center", weight="bold", size=12)
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    legend = [(colour, label) for colour, label, _ in groups if label]
    names = ", ".join(label for _, label in legend)
    alt = f"The codes in {plane}{f', colored by label: {names}' if names else ''}."
    return to_plot(axes, name, alt=alt, caption=caption, legend=legend)
