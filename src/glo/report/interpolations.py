"""Ways through the code space: between training examples, and along the principal directions."""

import torch

from glo.latents.directions import Directions, principal_directions, walk_along
from glo.latents.interpolation import interpolate
from glo.report.blocks import Picture, Section
from glo.report.context import ReportContext
from glo.report.sheets import sheet
from glo.utils.row_ranges import evenly_spaced

__all__ = ["interpolations", "principal_walks"]

_WALKS, _STEPS = 8, 9
_DIRECTIONS = 8
_LEAST_REACH = 3.0


def interpolations(material: ReportContext) -> Section:
    """Show what lies between the codes of two training examples."""
    run, n = material.run, material.run.data.n
    ends = evenly_spaced(n, min(n // 2 * 2, 2 * _WALKS))
    constraint = run.settings.constraint
    walks = [
        material.decoded(
            interpolate(run.codes[a], run.codes[b], _STEPS, path="sphere", constraint=constraint)
        )
        for a, b in ends.unflatten(0, (-1, 2)).tolist()
    ]
    alt = "In each line images that turn from one reconstruction into another"
    half = -(-len(walks) // 2)
    return Section(
        anchor="interpolations",
        title="Interpolations",
        text=(
            "Each line walks from the code of one training example to that of another. The way "
            "keeps the length of the codes: a straight one would pass too near to the centre.",
        ),
        items=tuple(
            sheet(torch.cat(part), columns=_STEPS, alt=alt)
            for part in (walks[:half], walks[half:])
            if part
        ),
        columns=2,
    )


def principal_walks(material: ReportContext) -> Section:
    """Show what changes along the directions in which the codes spread most."""
    run = material.run
    directions = principal_directions(run.codes, min(_DIRECTIONS, *run.codes.shape))
    # Not about the mean: in the middle of a ball or a sphere there are no codes.
    row = int(material.rows[len(material.rows) // 2]) if len(material.rows) else 0
    reach = _reach(directions)
    places = list(range(len(directions)))
    half = -(-len(places) // 2)
    parts = [part for part in (places[:half], places[half:]) if part]
    share = 100 * float(directions.shares.sum())
    return Section(
        anchor="directions",
        title="Principal directions",
        text=(
            f"Each line walks along one principal direction of the codes, from {-reach:.1f} to "
            f"{reach:.1f} standard deviations about the code of example {row}. These "
            f"{len(directions)} hold {share:.0f} % of the variance of the codes.",
        ),
        items=tuple(_sheet(material, directions, row, reach, part) for part in parts),
        columns=2,
    )


def _reach(directions: Directions) -> float:
    """Return how far to walk, in standard deviations: as far as codes lie from their mean.

    In many dimensions three standard deviations along one of them are a small step.
    """
    # The share of the first is its variance over that of all, the square of the mean distance.
    share = float(directions.shares[0])
    return max(_LEAST_REACH, share**-0.5) if share > 0 else _LEAST_REACH


def _sheet(
    material: ReportContext, directions: Directions, row: int, reach: float, places: list[int]
) -> Picture:
    about, constraint = material.run.codes[row], material.run.settings.constraint
    walks = [
        walk_along(directions, place, _STEPS, reach=reach, about=about, constraint=constraint)
        for place in places
    ]
    first, last = places[0] + 1, places[-1] + 1
    named = f"Directions {first} to {last}" if first < last else f"Direction {first}"
    return sheet(
        material.decoded(torch.cat(walks)),
        columns=_STEPS,
        alt=f"{named}: images that change from left to right",
        caption=named,
    )
