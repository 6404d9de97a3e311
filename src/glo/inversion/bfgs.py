"""A quasi-Newton method for many small problems at once, each row with a matrix of its own."""

import torch
from torch import Tensor

__all__ = ["Rows", "join", "learn", "propose", "take"]

Rows = dict[str, Tensor]

# A curvature below this share of what it could be is rounding, and would spoil the matrix.
_LEAST_CURVATURE = 1e-7
# The inverse of a smaller slope would not be finite.
_LEAST_SLOPE = 1e-30


def propose(rows: Rows, most: float) -> Tensor:
    """Return where to look next: z - c H f'(z), no further away than `most`.

    Args:
        rows: `codes` (B, D), `inverse` (B, D, D), `gradient` (B, D), `shrink` (B,), the factor c.
        most: length of the longest step.

    Returns:
        (B, D).

    Example:
        >>> rows = {"codes": torch.zeros(1, 2), "inverse": torch.eye(2)[None]}
        >>> rows |= {"gradient": torch.tensor([[3.0, 4.0]]), "shrink": torch.ones(1)}
        >>> propose(rows, 1.0)
        tensor([[-0.6000, -0.8000]])
    """
    step = -(rows["inverse"] @ rows["gradient"].unsqueeze(2)).squeeze(2)
    step = step * rows["shrink"].unsqueeze(1)
    length = step.norm(dim=1, keepdim=True).clamp(min=1e-30)
    bounded: Tensor = step * (most / length).clamp(max=1.0)
    return rows["codes"] + bounded


def learn(inverse: Tensor, moved: Tensor, turned: Tensor) -> Tensor:
    """Return estimates of the inverse Hessian that explain the last step.

    With s the step, y the change of the gradient and r = 1 / s.y,

        H <- (I - r s y^T) H (I - r y s^T) + r s s^T.

    Rows whose gradient did not grow along the step keep their estimate.

    Args:
        inverse: H, (B, D, D), symmetric and positive definite.
        moved: s, (B, D).
        turned: y, (B, D).

    Returns:
        (B, D, D), symmetric and positive definite.

    Reference:
        Nocedal and Wright, "Numerical Optimization", Springer 2006, equation 6.17.

    Example:
        >>> s, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[4.0, 0.0]])
        >>> learn(torch.eye(2)[None], s, y)
        tensor([[[0.2500, 0.0000],
                 [0.0000, 1.0000]]])
    """
    slope = (moved * turned).sum(1)
    least = _LEAST_CURVATURE * moved.norm(dim=1) * turned.norm(dim=1)
    usable = (slope > least) & (slope > _LEAST_SLOPE)
    rate = torch.where(usable, 1.0 / slope, torch.zeros_like(slope))[:, None, None]
    through = inverse @ turned.unsqueeze(2)
    bend = turned.unsqueeze(1) @ through
    step = moved.unsqueeze(2)
    cross = through @ step.mT
    changed = inverse + rate * ((1 + rate * bend) * (step @ step.mT) - cross - cross.mT)
    return torch.where(usable[:, None, None], changed, inverse)


def take(rows: Rows, which: Tensor) -> Rows:
    """Return the rows that a mask or row numbers choose."""
    return {name: tensor[which] for name, tensor in rows.items()}


def join(first: Rows | None, second: Rows) -> Rows:
    """Put rows behind one another."""
    if first is None:
        return second
    return {name: torch.cat([first[name], tensor]) for name, tensor in second.items()}
