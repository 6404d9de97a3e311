"""Codes of examples that were never trained: whole, masked, or seen through an operator."""

from glo.inversion.corruptions import add_noise, half_mask, hole_mask
from glo.inversion.initial_codes import InitialCodes, decode_initial_codes
from glo.inversion.invert import follow, invert
from glo.inversion.operators import AveragePool, Blur, Chain, Grey, Operator
from glo.inversion.result import Inversion, SearchState, finish

__all__ = [
    "AveragePool",
    "Blur",
    "Chain",
    "Grey",
    "InitialCodes",
    "Inversion",
    "Operator",
    "SearchState",
    "add_noise",
    "decode_initial_codes",
    "finish",
    "follow",
    "half_mask",
    "hole_mask",
    "invert",
]
