"""Constraints: each projection satisfies its constraint and is the nearest such code."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glo.latents.constraints import project

NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32)
TABLES = st.integers(1, 4).flatmap(
    lambda dim: st.lists(st.lists(NUMBERS, min_size=dim, max_size=dim), min_size=1, max_size=5)
)


@settings(max_examples=100)
@given(TABLES)
def test_projections_satisfy_their_constraint(rows: list[list[float]]) -> None:
    codes = torch.tensor(rows)
    exact = codes.double().norm(dim=1)
    assert torch.equal(project(codes, "free"), codes)
    assert bool((project(codes, "ball").double().norm(dim=1) <= 1 + 1e-6).all())
    inside = exact < 0.999
    assert torch.equal(project(codes, "ball")[inside], codes[inside])
    sphere = project(codes, "sphere").double()
    torch.testing.assert_close(sphere.norm(dim=1), torch.ones_like(exact), atol=1e-6, rtol=0.0)
    along = (sphere * codes.double()).sum(1)
    torch.testing.assert_close(along, exact, atol=0.0, rtol=1e-5)


def test_sphere_projects_the_zero_code_to_the_first_axis() -> None:
    assert project(torch.zeros(2, 3), "sphere").tolist() == [[1, 0, 0]] * 2


@pytest.mark.parametrize("norm", [1.0, 1.5, 1e10])
def test_ball_projects_long_codes_to_its_surface(norm: float) -> None:
    codes = project(torch.tensor([[0.6, 0.8]]) * norm, "ball")
    torch.testing.assert_close(codes, torch.tensor([[0.6, 0.8]]))
