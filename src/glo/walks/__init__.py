"""Walks through the code space: between codes, along their main directions, to their neighbours."""

from glo.walks.directions import Directions, principal_directions, walk_along
from glo.walks.neighbours import neighbours
from glo.walks.paths import Path, arithmetic, interpolate, lattice

__all__ = [
    "Directions",
    "Path",
    "arithmetic",
    "interpolate",
    "lattice",
    "neighbours",
    "principal_directions",
    "walk_along",
]
