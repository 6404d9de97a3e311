"""Codes of examples that were never trained: whole, masked, or seen through an operator."""

from glo.inversion.corruptions import add_noise, half_mask, hole_mask
from glo.inversion.initial_codes import Starts, decode_starts
from glo.inversion.invert import follow, invert
from glo.inversion.operators import AveragePool, Blur, Chain, Grey, Operator
from glo.inversion.result import Inversion, Searching, finish

__all__ = [
    "AveragePool",
    "Blur",
    "Chain",
    "Grey",
    "Inversion",
    "Operator",
    "Searching",
    "Starts",
    "add_noise",
    "decode_starts",
    "finish",
    "follow",
    "half_mask",
    "hole_mask",
    "invert",
]
