"""Codes at which searches begin."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

__all__ = ["SearchStart"]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SearchStart:
    """Codes at which searches begin, such as those of an encoder.

    Attributes:
        codes: float32 (n, D), one for each observation, on the device of the decoder.
        inverse_hessian: float32 (D, D), first inverse Hessian of the loss of every row.
    """

    codes: Tensor
    inverse_hessian: Tensor
