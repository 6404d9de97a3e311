"""Encoder: a network from examples to codes, fitted to a trained decoder and its codes."""

from glo.encoders.correction import corrected_codes
from glo.encoders.encoder import Encoder
from glo.encoders.fit import fit_encoder, fit_steps
from glo.encoders.serialization import read_encoder, write_encoder

__all__ = [
    "Encoder",
    "corrected_codes",
    "fit_encoder",
    "fit_steps",
    "read_encoder",
    "write_encoder",
]
