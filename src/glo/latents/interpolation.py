"""Interpolation between codes, along lines, arcs and grids, and code arithmetic."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project

Path = Literal["straight", "sphere"]

# Two directions with a sine below this are parallel or opposite: the plane of the arc would be
# determined by rounding errors.
_MIN_SINE = 1e-7


def interpolate(
    a: Tensor, b: Tensor, n: int, *, path: Path = "straight", constraint: Constraint = "free"
) -> Tensor:
    """Interpolate between codes (D,) in n >= 2 even steps, (n, D); the ends are `a` and `b`.

        straight: z(t) = (1 - t) a + t b
        sphere:   z(t) = ((1 - t) |a| + t |b|) (sin((1 - t) w) u + sin(t w) v) / sin(w)

    with u = a / |a|, v = b / |b| and w the angle between them. A straight path passes nearer to the
    origin than its ends, where there are few codes; the spherical one keeps the radius between
    theirs. Parallel codes have a straight path in both cases. Of the half circles between opposite
    codes, the one towards the axis of their smallest number is taken; in one dimension the path is
    straight.

    Raises:
        UserError: the shapes differ, or n is below 2.

    Reference:
        Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, section 3.3.

    Example:
        >>> a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
        >>> interpolate(a, b, 3, path="sphere")[1]
        tensor([0.7071, 0.7071])
    """
    if a.ndim != 1 or a.shape != b.shape:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise UserError(f"The ends have shapes {shapes}; give two codes of the same size, (D,).")
    if n < 2:
        raise UserError(f"n is {n}; a walk has two ends, so give 2 or more.")
    t = torch.linspace(0, 1, n, dtype=torch.float64, device=a.device).unsqueeze(1)
    points = (_arc if path == "sphere" else torch.lerp)(a.double(), b.double(), t)
    walk = project(points.to(a.dtype), constraint)
    walk[0], walk[-1] = a, b
    return walk


def grid_interpolate(
    corners: Tensor, n: int, *, path: Path = "straight", constraint: Constraint = "free"
) -> tuple[Tensor, ...]:
    """Interpolate between three or four codes by n >= 2 lines of codes, from top to bottom.

    Four corners A, B, C, D lie at the top left, top right, bottom left and bottom right, and the
    straight path is bilinear: (1 - s)(1 - t) A + s (1 - t) B + (1 - s) t C + s t D. Three lie at
    the top, bottom left and bottom right of a triangle, and it is barycentric. Along the sphere,
    the left and right edges are interpolated first, then every line.

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
    lines = [walk(first, last, count) for count, (first, last) in enumerate(edges, start=2)]
    return (top.unsqueeze(0), *lines)


def arithmetic(
    codes: Tensor, weights: Sequence[float] | Tensor, *, constraint: Constraint = "free"
) -> Tensor:
    """Return the weighted sum, (D,), of codes (K, D), projected onto the constraint.

    The weights 1, -1, 1 of a, b, c give a - b + c: a with the difference of c from b.

    Reference:
        Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
        generative adversarial networks", ICLR 2016, section 6.3.2.

    Example:
        >>> arithmetic(torch.tensor([[0.5, 0.5], [0.5, 0.0], [0.0, 0.25]]), [1, -1, 1])
        tensor([0.0000, 0.7500])
    """
    factors = torch.as_tensor(weights, dtype=torch.float64, device=codes.device)
    if codes.ndim != 2 or factors.shape != codes.shape[:1]:
        shapes = f"{tuple(factors.shape)} for codes of shape {tuple(codes.shape)}"
        raise UserError(f"The weights have shape {shapes}; give one weight for each code.")
    total = (factors @ codes.double()).to(codes.dtype)
    return project(total.unsqueeze(0), constraint)[0]


def _arc(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    radius, end_radius = a.norm(), b.norm()
    if not radius > 0 or not end_radius > 0:
        return torch.lerp(a, b, t)
    u, v = a / radius, b / end_radius
    orthogonal = v - (u @ v) * u
    if float(orthogonal.norm()) < _MIN_SINE:
        if len(a) == 1 or bool(u @ v > 0):
            return torch.lerp(a, b, t)
        axis = torch.zeros_like(u)
        axis[u.abs().argmin()] = 1.0
        orthogonal = axis - (u @ axis) * u
    # Of unit vectors, exact for every angle, unlike the arc cosine near 0 and pi.
    angle = t * (2 * torch.atan2((u - v).norm(), (u + v).norm()))
    direction = angle.cos() * u + angle.sin() * (orthogonal / orthogonal.norm())
    points: Tensor = torch.lerp(radius, end_radius, t) * direction
    return points
