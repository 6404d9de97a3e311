"""Sections of walks through the code space: interpolations and principal directions."""

import torch

from glo.latents.directions import Directions, principal_directions, walk_along
from glo.latents.interpolation import interpolate
from glo.report.blocks import Picture, Section
from glo.report.context import ReportContext
from glo.report.sheets import sheet
from glo.utils.row_ranges import evenly_spaced

__all__ = ["directions_section", "interpolations_section"]

_WALKS, _STEPS = 8, 9
_DIRECTIONS = 8
_MIN_REACH = 3.0


def interpolations_section(context: ReportContext) -> Section:
    """Draw interpolations between the codes of pairs of training examples."""
    run, n = context.run, context.run.data.n
    rows = evenly_spaced(n, min(n // 2 * 2, 2 * _WALKS))
    constraint = run.settings.constraint
    walks = [
        context.decode(
            interpolate(run.codes[a], run.codes[b], _STEPS, path="sphere", constraint=constraint)
        )
        for a, b in rows.unflatten(0, (-1, 2)).tolist()
    ]
    alt = "In each line images that turn from one reconstruction into another"
    half = -(-len(walks) // 2)
    return Section(
        text=(
            "Each line interpolates between the codes of two training examples. The path "
            "keeps the norm of the codes: a straight one would pass too near to the center.",
        ),
        items=tuple(
            sheet(torch.cat(part), columns=_STEPS, alt=alt)
            for part in (walks[:half], walks[half:])
            if part
        ),
        columns=2,
    )


def directions_section(context: ReportContext) -> Section:
    """Draw walks along the principal directions of the codes."""
    codes = context.run.codes
    directions = principal_directions(codes, min(_DIRECTIONS, *codes.shape))
    # From an example, not from the mean: no codes lie in the center of a ball or a sphere.
    row = int(context.rows[len(context.rows) // 2]) if len(context.rows) else 0
    reach = _reach(directions)
    numbers = list(range(len(directions)))
    half = -(-len(numbers) // 2)
    share = 100 * float(directions.shares.sum())
    center = context.run.row_ids.describe([row])
    return Section(
        text=(
            f"Each line follows one principal direction of the codes, from {-reach:.1f} to "
            f"{reach:.1f} standard deviations about the code of {center}. These "
            f"{len(directions)} hold {share:.0f} % of the variance of the codes.",
        ),
        items=tuple(
            _walks(context, directions, row, reach, part)
            for part in (numbers[:half], numbers[half:])
            if part
        ),
        columns=2,
    )


def _reach(directions: Directions) -> float:
    """Return the length of a walk in standard deviations: the mean distance of codes to the mean.

    In many dimensions three standard deviations along one direction are a small step.
    """
    # The first share is its variance over the total, the mean square distance.
    share = float(directions.shares[0])
    return max(_MIN_REACH, share**-0.5) if share > 0 else _MIN_REACH


def _walks(
    context: ReportContext, directions: Directions, row: int, reach: float, numbers: list[int]
) -> Picture:
    code, constraint = context.run.codes[row], context.run.settings.constraint
    walks = [
        walk_along(directions, number, _STEPS, reach=reach, about=code, constraint=constraint)
        for number in numbers
    ]
    first, last = numbers[0] + 1, numbers[-1] + 1
    name = f"Directions {first} to {last}" if first < last else f"Direction {first}"
    return sheet(
        context.decode(torch.cat(walks)),
        columns=_STEPS,
        alt=f"{name}: images that change from left to right",
        caption=name,
    )
