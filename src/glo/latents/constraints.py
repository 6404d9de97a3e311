"""Constraints on codes: unit ball, unit sphere, or none."""

from typing import Literal

import torch
from torch import Tensor

Constraint = Literal["ball", "sphere", "free"]


def project(codes: Tensor, constraint: Constraint) -> Tensor:
    """Move each code, (B, D), to the nearest point that satisfies the constraint.

    ball: z / max(|z|, 1); sphere: z / |z|; free: z. A code of length zero has no nearest point on
    the sphere; it goes to the first axis.

    Example:
        >>> project(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), "ball")
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    if constraint == "free":
        return codes
    if constraint == "ball":
        inside: Tensor = codes / codes.norm(dim=1, keepdim=True).clamp(min=1.0)
        return inside
    axis = torch.zeros_like(codes)
    axis[:, 0] = 1.0
    # In float32 the squares of very small or large numbers would vanish or overflow.
    norm = codes.double().norm(dim=1, keepdim=True)
    unit = (codes / norm).to(codes.dtype)
    return torch.where(norm > 0, unit, axis)
