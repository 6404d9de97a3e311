"""Inversion: codes of unseen examples: whole, masked, or observed through an operator."""

from glo.inversion.corruptions import add_noise, half_mask, hole_mask
from glo.inversion.initial_codes import InitialCodes, decode_initial_codes
from glo.inversion.invert import invert
from glo.inversion.operators import AveragePool, Blur, Compose, Grayscale, Operator
from glo.inversion.options import InversionOptions
from glo.inversion.result import Inversion, InversionCallback, InversionProgress
from glo.inversion.start import SearchStart

__all__ = [
    "AveragePool",
    "Blur",
    "Compose",
    "Grayscale",
    "InitialCodes",
    "Inversion",
    "InversionCallback",
    "InversionOptions",
    "InversionProgress",
    "Operator",
    "SearchStart",
    "add_noise",
    "decode_initial_codes",
    "half_mask",
    "hole_mask",
    "invert",
]
