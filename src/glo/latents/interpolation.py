"""Ways through the code space: between two codes, between three or four, and sums of codes."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project

__all__ = ["Path", "arithmetic", "grid_interpolate", "interpolate"]

Path = Literal["straight", "sphere"]

# Two directions with a sine below this are parallel or opposite: the plane that a path turns in
# would be made of rounding.
_NO_PLANE = 1e-7


def interpolate(
    a: Tensor, b: Tensor, n: int, *, path: Path = "straight", constraint: Constraint = "free"
) -> Tensor:
    """Walk from one code to another in even steps; the ends are `a` and `b` themselves.

        straight: z(t) = (1 - t) a + t b
        sphere:   z(t) = ((1 - t) |a| + t |b|) (sin((1 - t) w) u + sin(t w) v) / sin(w)

    with u = a / |a|, v = b / |b| and w the angle between them. A straight way passes nearer to the
    centre than its ends lie, where there are few codes; the other one keeps the radius between
    theirs. Parallel codes have a straight way on both paths. Opposite ones have many half circles
    between them: the one that turns towards the axis along which they are shortest is taken, and
    where there is one dimension alone, the straight way.

    Args:
        a: (D,), where it begins.
        b: (D,), where it ends.
        n: points, with both ends.
        path: straight, or along the sphere.
        constraint: holds for every point if it holds for the ends.

    Returns:
        (n, D).

    Raises:
        UserError: the shapes differ, or n is below 2.

    Reference:
        Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, section 3.3.

    Example:
        >>> a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
        >>> interpolate(a, b, 3)
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000],
                [0.0000, 1.0000]])
        >>> interpolate(a, b, 3, path="sphere")
        tensor([[1.0000, 0.0000],
                [0.7071, 0.7071],
                [0.0000, 1.0000]])
    """
    if a.ndim != 1 or a.shape != b.shape:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise UserError(f"The ends have shapes {shapes}; give two codes of the same size, (D,).")
    if n < 2:
        raise UserError(f"n is {n}; a walk has two ends, so give 2 or more.")
    share = torch.linspace(0, 1, n, dtype=torch.float64, device=a.device).unsqueeze(1)
    between = (_arc if path == "sphere" else torch.lerp)(a.double(), b.double(), share)
    walk = project(between.to(a.dtype), constraint)
    walk[0], walk[-1] = a, b
    return walk


def grid_interpolate(
    corners: Tensor, n: int, *, path: Path = "straight", constraint: Constraint = "free"
) -> tuple[Tensor, ...]:
    """Fill the space between three or four codes with lines of codes, from top to bottom.

    Four corners A, B, C, D lie at the top left, top right, bottom left and bottom right, and the
    straight path is bilinear: (1 - s)(1 - t) A + s (1 - t) B + (1 - s) t C + s t D. Three lie at
    the top, bottom left and bottom right of a triangle, and it is barycentric. Along the sphere,
    the left and right edges and then every line are walked.

    Args:
        corners: (3, D) or (4, D).
        n: lines, and codes on the last one.
        path: straight, or along the sphere.
        constraint: as for `interpolate`.

    Returns:
        n lines: n of (n, D) for four corners; of (1, D), (2, D), ... (n, D) for three.

    Raises:
        UserError: there are not three or four corners, or n is below 2.

    Example:
        >>> lines = grid_interpolate(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), 3)
        >>> [line.tolist() for line in lines[:2]]
        [[[0.0, 0.0]], [[0.0, 0.5], [0.5, 0.0]]]
    """
    if corners.ndim != 2 or len(corners) not in (3, 4):
        shape = tuple(corners.shape)
        raise UserError(f"The corners have shape {shape}; give three or four codes, (3 or 4, D).")

    def walk(a: Tensor, b: Tensor, count: int) -> Tensor:
        return interpolate(a, b, count, path=path, constraint=constraint)

    if len(corners) == 4:
        top_left, top_right, bottom_left, bottom_right = corners
        edges = zip(walk(top_left, bottom_left, n), walk(top_right, bottom_right, n), strict=True)
        return tuple(walk(left, right, n) for left, right in edges)
    top, left, right = corners
    edges = zip(walk(top, left, n)[1:], walk(top, right, n)[1:], strict=True)
    lines = [walk(first, last, place) for place, (first, last) in enumerate(edges, start=2)]
    return (top.unsqueeze(0), *lines)


def arithmetic(
    codes: Tensor, weights: Sequence[float] | Tensor, *, constraint: Constraint = "free"
) -> Tensor:
    """Return the sum of codes, each times its weight, moved onto the constraint.

    The weights 1, -1, 1 of a, b, c make a - b + c: what c has and b has not is given to a.

    Args:
        codes: (K, D).
        weights: K numbers.
        constraint: what the sum satisfies.

    Returns:
        (D,).

    Raises:
        UserError: there are not as many weights as codes.

    Reference:
        Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
        generative adversarial networks", ICLR 2016, section 6.3.2.

    Example:
        >>> arithmetic(torch.tensor([[0.5, 0.5], [0.5, 0.0], [0.0, 0.25]]), [1, -1, 1])
        tensor([0.0000, 0.7500])
    """
    factors = torch.as_tensor(weights, dtype=torch.float64, device=codes.device)
    if codes.ndim != 2 or factors.shape != codes.shape[:1]:
        given = f"{tuple(factors.shape)} for codes of shape {tuple(codes.shape)}"
        raise UserError(f"The weights have shape {given}; give one weight for each code.")
    total = (factors @ codes.double()).to(codes.dtype)
    return project(total.unsqueeze(0), constraint)[0]


def _arc(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    radius, other = a.norm(), b.norm()
    if not radius > 0 or not other > 0:
        return torch.lerp(a, b, share)
    u, v = a / radius, b / other
    aside = v - (u @ v) * u
    if float(aside.norm()) < _NO_PLANE:
        if len(a) == 1 or bool(u @ v > 0):
            return torch.lerp(a, b, share)
        aside = _across(u)
    # Of unit vectors, exact for every angle, which the arc cosine is not near 0 and pi.
    angle = 2 * torch.atan2((u - v).norm(), (u + v).norm())
    turn = share * angle
    direction = turn.cos() * u + turn.sin() * (aside / aside.norm())
    between: Tensor = torch.lerp(radius, other, share) * direction
    return between


def _across(u: Tensor) -> Tensor:
    axis = torch.zeros_like(u)
    axis[u.abs().argmin()] = 1.0
    return axis - (u @ axis) * u
