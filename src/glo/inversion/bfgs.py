"""BFGS updates of many small problems at once, with one matrix per row."""

import torch
from torch import Tensor

__all__ = ["Rows", "bfgs_update", "newton_step"]

Rows = dict[str, Tensor]

# A curvature below this share of its upper bound is rounding error, and would spoil the matrix.
_MIN_CURVATURE = 1e-7
# The inverse of a smaller slope would not be finite.
_MIN_SLOPE = 1e-30


def newton_step(rows: Rows, max_length: float) -> Tensor:
    """Return the next codes z - c H f'(z), (B, D), with steps no longer than `max_length`."""
    step = -(rows["inverse"] @ rows["gradient"].unsqueeze(2)).squeeze(2)
    step = step * rows["shrink"].unsqueeze(1)
    length = step.norm(dim=1, keepdim=True).clamp(min=1e-30)
    bounded: Tensor = step * (max_length / length).clamp(max=1.0)
    return rows["codes"] + bounded


def bfgs_update(inverse: Tensor, step: Tensor, gradient_change: Tensor) -> Tensor:
    """Update estimates H (B, D, D) of the inverse Hessian by the last step.

    With s the step (B, D), y the change of the gradient (B, D) and r = 1 / s.y,

        H <- (I - r s y^T) H (I - r y s^T) + r s s^T.

    Rows whose gradient did not grow along the step keep their estimate.

    Reference:
        Nocedal and Wright, "Numerical Optimization", Springer 2006, equation 6.17.
    """
    slope = (step * gradient_change).sum(1)
    bound = _MIN_CURVATURE * step.norm(dim=1) * gradient_change.norm(dim=1)
    usable = (slope > bound) & (slope > _MIN_SLOPE)
    rate = torch.where(usable, 1.0 / slope, torch.zeros_like(slope))[:, None, None]
    product = inverse @ gradient_change.unsqueeze(2)
    curvature = gradient_change.unsqueeze(1) @ product
    column = step.unsqueeze(2)
    cross = product @ column.mT
    updated = inverse + rate * ((1 + rate * curvature) * (column @ column.mT) - cross - cross.mT)
    return torch.where(usable[:, None, None], updated, inverse)
