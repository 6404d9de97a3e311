"""Plots of codes, samples and losses on axes of matplotlib."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from glo.imaging.grids import grid
from glo.latents.directions import principal_directions
from glo.utils.random import permutation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PALETTE", "color_groups", "plot_codes", "plot_losses", "plot_samples"]

# Petroff, "Accessible color sequences for data visualization" (2021): ten colors that remain
# distinct with every kind of color vision.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
_OTHERS, _UNLABELED = "#808080", "#c8c8c8"
_MAX_DOTS = 6000


def plot_codes(
    codes: Tensor, labels: Tensor | None, names: Sequence[str], axes: "Axes | None" = None
) -> "Axes":
    """Draw codes (N, D), N at least 2, in their first two principal directions.

    Args:
        codes: the codes; of more than 6,000 a random choice is drawn.
        labels: int64 (N,), -1 without a label; or None.
        names: names of the labels 0, 1, ....
        axes: axes to draw on; None: those of a new figure.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = Figure().subplots()
        >>> plot_codes(torch.eye(3), torch.tensor([0, 1, -1]), ["a", "b"], axes) is axes
        True
    """
    rows = permutation(len(codes), 0, 0)[:_MAX_DOTS].sort().values
    groups = color_groups(len(rows), None if labels is None else labels[rows], names)
    directions = principal_directions(codes, min(2, *codes.shape))
    points = (codes[rows] - directions.mean) @ directions.components.T
    # Codes of one number lie on a line.
    points = torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
    axes = axes or _new_axes()
    for color, name, mask in groups:
        x, y = points[mask].T.numpy()
        axes.scatter(x, y, s=4, c=color, linewidths=0, label=name or None)
    if labels is not None:
        axes.legend(markerscale=3, fontsize="small")
    axes.set(xlabel="first principal direction", ylabel="second principal direction")
    axes.set_aspect("equal", adjustable="datalim")
    return axes


def color_groups(
    n: int, labels: Tensor | None, names: Sequence[str]
) -> list[tuple[str, str, Tensor]]:
    """Group n dots by label: color, name and mask of each group, bool (n,).

    The most frequent labels have colors of their own; the others and dots without a label are gray
    and come first, to be drawn below.

    Example:
        >>> [
        ...     (name, mask.tolist())
        ...     for _, name, mask in color_groups(2, torch.tensor([1, -1]), "ab")
        ... ]
        [('no label', [False, True]), ('b', [True, False])]
    """
    if labels is None:
        return [(PALETTE[0], "", torch.ones(n, dtype=torch.bool))]
    unlabeled = labels < 0
    numbers, counts = labels[~unlabeled].unique(return_counts=True)
    frequent = numbers[counts.argsort(descending=True, stable=True)[: len(PALETTE)]].sort().values
    groups = [
        (color, names[number], labels == number)
        for color, number in zip(PALETTE, frequent.tolist(), strict=False)
    ]
    others = ~torch.isin(labels, frequent) & ~unlabeled
    rest = [(_UNLABELED, "no label", unlabeled), (_OTHERS, "others", others)]
    return [group for group in rest if group[2].any()] + groups


def plot_samples(samples: Tensor, axes: "Axes | None" = None) -> "Axes":
    """Draw images (n, C, H, W) in [-1, 1] in a grid, or vectors (n, F) as curves.

    Example:
        >>> from matplotlib.figure import Figure
        >>> len(plot_samples(torch.zeros(5, 3), Figure().subplots()).lines)
        5
    """
    axes = axes or _new_axes()
    if samples.ndim == 2:
        axes.plot(samples.T.numpy(), color=PALETTE[0], alpha=0.4, linewidth=0.8)
        axes.set(xlabel="column", ylabel="value")
        return axes
    axes.imshow(np.asarray(grid(samples).convert("RGB")), interpolation="none")
    axes.set_axis_off()
    return axes


def plot_losses(losses: Sequence[float], axes: "Axes | None" = None) -> "Axes":
    """Draw the mean loss of each epoch, from 1 on, on a logarithmic axis.

    Example:
        >>> from matplotlib.figure import Figure
        >>> plot_losses([3.0, 1.0], Figure().subplots()).get_yscale()
        'log'
    """
    axes = axes or _new_axes()
    axes.plot(range(1, len(losses) + 1), losses, color=PALETTE[0])
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    return axes


def _new_axes() -> "Axes":
    # Only figures of pyplot are shown by a notebook.
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]
