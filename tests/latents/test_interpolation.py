"""Walks: ends, radii and lines of codes, sums, main directions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.latents.directions import principal_directions, walk_along
from glo.latents.interpolation import Path, arithmetic, grid_interpolate, interpolate

PATHS: list[Path] = ["straight", "sphere"]
CONSTRAINTS: list[Constraint] = ["free", "ball", "sphere"]


def draw(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, dim)).astype("float32"))


@given(
    dim=st.integers(1, 6),
    n=st.integers(2, 9),
    seed=st.integers(0, 99),
    size=st.sampled_from([1e-6, 0.3, 1.0, 50.0]),
    path=st.sampled_from(PATHS),
    constraint=st.sampled_from(CONSTRAINTS),
)
@settings(max_examples=80, deadline=None)
def test_a_walk_keeps_its_ends_and_its_constraint(
    dim: int, n: int, seed: int, size: float, path: Path, constraint: Constraint
) -> None:
    a, b = project(draw(2, dim, seed) * size, constraint)
    walk = interpolate(a, b, n, path=path, constraint=constraint)
    assert walk.shape == (n, dim)
    assert walk.dtype == torch.float32
    assert torch.equal(walk[0], a)
    assert torch.equal(walk[-1], b)
    radius = walk.norm(dim=1)
    if constraint == "ball":
        assert radius.max() <= 1 + 1e-5
    if constraint == "sphere":
        torch.testing.assert_close(radius, torch.ones(n))
    # The way back is the same, but between opposite codes on a sphere of one dimension.
    if dim > 1:
        back = interpolate(b, a, n, path=path, constraint=constraint)
        torch.testing.assert_close(walk, back.flip(0), rtol=1e-4, atol=1e-5 * size)


@given(dim=st.integers(2, 6), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_unit_vectors_are_walked_as_scipy_does(dim: int, seed: int) -> None:
    a, b = project(draw(2, dim, seed).double(), "sphere")
    truth = geometric_slerp(a.numpy(), b.numpy(), np.linspace(0, 1, 7))
    walk = interpolate(a, b, 7, path="sphere")
    np.testing.assert_allclose(walk.numpy(), truth, atol=1e-9)


def test_along_the_sphere_radius_and_angle_grow_evenly() -> None:
    a, b = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    walk = interpolate(a, b, 5, path="sphere").double()
    torch.testing.assert_close(walk.norm(dim=1), torch.linspace(2, 1, 5).double())
    angles = torch.atan2(walk[:, 1], walk[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, torch.pi / 2, 5).double())
    straight = interpolate(a, b, 5)
    assert (straight.norm(dim=1)[1:-1] < walk.norm(dim=1)[1:-1]).all()


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("factor", [0.0, 0.2, 1.0, 3.0])
def test_collinear_codes_are_walked_straight(dim: int, factor: float) -> None:
    a = draw(1, dim)[0]
    both = [interpolate(a, factor * a, 6, path=path) for path in PATHS]
    torch.testing.assert_close(both[0], both[1])
    assert torch.equal(interpolate(torch.zeros(dim), a, 4, path="sphere")[0], torch.zeros(dim))


def test_nearly_parallel_and_nearly_opposite_codes_have_no_jump() -> None:
    a = torch.tensor([0.6, 0.8, 0.0], dtype=torch.float64)
    for factor in (1.0, -1.0):
        for off in (0.0, 1e-12, 1e-8, 1e-6, 1e-3):
            b = factor * a + off * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
            walk = interpolate(a, b, 101, path="sphere")
            assert (walk.norm(dim=1) - 1).abs().max() < 1e-6
            steps = walk.diff(dim=0).norm(dim=1)
            assert steps.max() - steps.min() < 1e-6


def test_opposite_codes_are_joined_by_half_a_circle() -> None:
    a = torch.tensor([0.8, 0.6, 0.0])
    walk = interpolate(a, -a, 5, path="sphere", constraint="sphere")
    torch.testing.assert_close(walk[2], torch.tensor([0.0, 0.0, 1.0]))
    one = interpolate(torch.tensor([0.5]), torch.tensor([-0.5]), 3, path="sphere")
    assert one.flatten().tolist() == [0.5, 0.0, -0.5]


@pytest.mark.parametrize("path", PATHS)
def test_a_square_is_walked_from_edge_to_edge(path: Path) -> None:
    a, b, c, d = corners = project(draw(4, 3) * 0.4, "ball")
    lines = grid_interpolate(corners, 4, path=path, constraint="ball")
    assert [line.shape for line in lines] == [(4, 3)] * 4
    assert torch.equal(lines[0], interpolate(a, b, 4, path=path, constraint="ball"))
    assert torch.equal(lines[-1], interpolate(c, d, 4, path=path, constraint="ball"))
    left = torch.stack([line[0] for line in lines])
    assert torch.equal(left, interpolate(a, c, 4, path=path, constraint="ball"))
    if path == "straight":
        middle = (4 * a + 2 * b + 2 * c + d) / 9
        torch.testing.assert_close(lines[1][1], middle)


def test_a_triangle_is_barycentric() -> None:
    corners = draw(3, 5)
    lines = grid_interpolate(corners, 4)
    assert [len(line) for line in lines] == [1, 2, 3, 4]
    torch.testing.assert_close(lines[2][1], (corners * torch.tensor([[1], [1], [1]])).sum(0) / 3)
    torch.testing.assert_close(lines[3][1], (2 * corners[1] + corners[2]) / 3)
    around = grid_interpolate(project(corners, "sphere"), 3, path="sphere", constraint="sphere")
    torch.testing.assert_close(torch.cat(around).norm(dim=1), torch.ones(6))


def test_sums_weigh_codes_and_obey_the_constraint() -> None:
    codes = torch.tensor([[0.5, 0.5], [0.5, 0.0], [0.0, 0.25]])
    assert arithmetic(codes, [1, -1, 1]).tolist() == [0.0, 0.75]
    assert arithmetic(codes, [1, -0.5, 0]).tolist() == [0.25, 0.5]
    assert arithmetic(codes, torch.tensor([3.0, 3.0, 0.0]), constraint="ball").norm() <= 1 + 1e-6
    with pytest.raises(UserError, match=r"weights have shape \(2,\) for codes of shape \(3, 2\)"):
        arithmetic(codes, [1, 2])


@pytest.mark.parametrize("shape", [(200, 5), (4, 7), (2, 1)])
def test_directions_are_the_singular_vectors(shape: tuple[int, int]) -> None:
    codes = draw(*shape) * torch.arange(1, shape[1] + 1) + 3
    found = principal_directions(codes)
    centred = codes.double().numpy() - codes.double().numpy().mean(0)
    _, sizes, right = np.linalg.svd(centred, full_matrices=False)
    variances = sizes**2 / (len(codes) - 1)
    np.testing.assert_allclose(found.mean, codes.double().mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.deviations, np.sqrt(variances), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.shares, variances / variances.sum(), rtol=1e-4, atol=1e-6)
    real = variances > 1e-9
    alike = np.abs((found.components.numpy() * right).sum(1))[real]
    np.testing.assert_allclose(alike, 1, rtol=1e-4)
    largest = found.components.abs().argmax(1, keepdim=True)
    assert (found.components.gather(1, largest) > 0).all()
    assert len(principal_directions(codes, 1)) == 1


def test_directions_do_not_depend_on_the_order_or_the_sign() -> None:
    codes = draw(300, 6) * torch.arange(1, 7)
    found = principal_directions(codes)
    for other in (codes.flip(0), -codes):
        again = principal_directions(other)
        torch.testing.assert_close(again.components, found.components, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(again.deviations, found.deviations)


def test_codes_that_are_all_the_same_have_directions_of_no_length() -> None:
    found = principal_directions(torch.full((5, 3), 0.25))
    assert found.deviations.tolist() == [0.0] * 3
    assert found.shares.tolist() == [0.0] * 3
    assert torch.equal(walk_along(found, 0, 3), torch.full((3, 3), 0.25))


def test_a_walk_along_a_direction_is_even_and_about_a_point() -> None:
    codes = draw(100, 3) * torch.tensor([5.0, 1.0, 0.1])
    found = principal_directions(codes)
    walk = walk_along(found, 0, 5, reach=2.0)
    torch.testing.assert_close(walk[2], found.mean)
    torch.testing.assert_close(walk.diff(dim=0).norm(dim=1), found.deviations[0].expand(4))
    about = torch.tensor([9.0, 9.0, 9.0])
    other = walk_along(found, 1, 3, about=about)
    assert torch.equal(other[1], about)
    torch.testing.assert_close(other[2] - about, 3 * found.deviations[1] * found.components[1])
    held = walk_along(found, 0, 5, constraint="ball").norm(dim=1)
    assert held.max() <= 1 + 1e-6


def test_of_very_many_codes_some_are_enough_for_directions() -> None:
    codes = draw(2**18 + 999, 3) * torch.tensor([1.0, 4.0, 2.0]) + 5.0
    found = principal_directions(codes)
    torch.testing.assert_close(found.components.abs(), torch.eye(3)[[1, 2, 0]], rtol=0, atol=0.01)
    torch.testing.assert_close(found.mean, codes.mean(0), rtol=0.01, atol=0)
    torch.testing.assert_close(found.deviations, torch.tensor([4.0, 2.0, 1.0]), rtol=0.01, atol=0)


def test_mistakes_are_said() -> None:
    two, found = draw(2, 3), principal_directions(draw(9, 3))
    for act, part in (
        (lambda: interpolate(two[0], two[1, :2], 3), r"shapes \(3,\) and \(2,\)"),
        (lambda: interpolate(two[0], two[1], 1), "n is 1; a walk has two ends"),
        (lambda: grid_interpolate(two, 3), r"shape \(2, 3\); give three or four codes"),
        (lambda: principal_directions(two[:1]), r"shape \(1, 3\); directions need two"),
        (lambda: principal_directions(two, 3), "2 codes of 3 numbers have 2; give 1 to 2"),
        (lambda: walk_along(found, 3, 5), "no direction 3; give 0 to 2"),
        (lambda: walk_along(found, 0, 1), "n is 1"),
    ):
        with pytest.raises(UserError, match=part):
            act()
