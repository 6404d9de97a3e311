"""The code table: rows move alone, as torch's optimisers would move them, and stay in bounds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import project
from glo.latents.optim import RowAdam, RowRule, RowSGD
from glo.latents.table import LatentCodes

CONSTRAINTS = ["ball", "sphere", "free"]
BETAS = [(0.0, 0.0), (0.0, 0.9), (0.9, 0.0), (0.5, 0.9), (0.9, 0.999)]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def follow_torch(optimizer: torch.optim.Optimizer, codes: Tensor, steps: int) -> None:
    for step in range(steps):
        codes.grad = draw(*codes.shape, seed=step + 1)
        optimizer.step()


@pytest.mark.parametrize("betas", BETAS)
def test_adam_is_torchs_when_every_row_is_there(betas: tuple[float, float]) -> None:
    start = draw(7, 3)
    theirs = start.clone().requires_grad_()
    table = LatentCodes(start.clone(), rule=RowAdam(betas), constraint="free")
    follow_torch(torch.optim.Adam([theirs], lr=0.1, betas=betas), theirs, 20)
    for step in range(20):
        order = torch.randperm(7, generator=torch.Generator().manual_seed(step))
        table.update(order, draw(7, 3, seed=step + 1)[order], 0.1)
    torch.testing.assert_close(table.codes, theirs.detach(), atol=2e-6, rtol=1e-5)
    assert table.state["count"].tolist() == [20] * 7


@pytest.mark.parametrize("betas", BETAS)
def test_each_row_is_an_adam_of_its_own(betas: tuple[float, float]) -> None:
    start = draw(5, 2)
    table = LatentCodes(start.clone(), rule=RowAdam(betas), constraint="free")
    alone = [row.clone().requires_grad_() for row in start]
    optimizers = [torch.optim.Adam([row], lr=0.05, betas=betas) for row in alone]
    for step in range(30):
        generator = torch.Generator().manual_seed(step)
        rows = torch.randperm(5, generator=generator)[: step % 4 + 1]
        gradient = draw(len(rows), 2, seed=100 + step)
        table.update(rows, gradient, 0.05)
        for row, own in zip(rows.tolist(), gradient, strict=True):
            alone[row].grad = own.clone()
            optimizers[row].step()
    expected = torch.stack([row.detach() for row in alone])
    torch.testing.assert_close(table.codes, expected, atol=2e-6, rtol=1e-5)


def test_sgd_is_torchs() -> None:
    start = draw(6, 4)
    theirs = start.clone().requires_grad_()
    follow_torch(torch.optim.SGD([theirs], lr=0.3), theirs, 10)
    table = LatentCodes(start.clone(), rule=RowSGD(), constraint="free")
    for step in range(10):
        table.update(torch.arange(6), draw(6, 4, seed=step + 1), 0.3)
    torch.testing.assert_close(table.codes, theirs.detach())
    assert table.state == {}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("rule", [RowSGD(), RowAdam((0.9, 0.9)), RowAdam((0.0, 0.9))])
def test_absent_rows_stay_bit_for_bit(rule: RowRule, constraint: str) -> None:
    table = LatentCodes(draw(9, 3), rule=rule, constraint=constraint)
    table.update(torch.arange(9), draw(9, 3, seed=1), 0.1)
    before = {"codes": table.codes.clone(), **{k: v.clone() for k, v in table.state.items()}}
    rows = torch.tensor([7, 0, 3])
    for step in range(5):
        table.update(rows, draw(3, 3, seed=step), 0.1)
    absent = torch.tensor([1, 2, 4, 5, 6, 8])
    for name, now in {"codes": table.codes, **table.state}.items():
        assert torch.equal(now[absent], before[name][absent]), name
        assert not torch.equal(now[rows], before[name][rows]), name


def test_without_a_first_moment_none_is_kept() -> None:
    state = RowAdam((0.0, 0.9)).new_state(4, 2)
    assert set(state) == {"second", "count"}


@pytest.mark.parametrize("betas", [(0.0, 0.9), (0.5, 0.9)])
def test_a_row_without_gradient_stays(betas: tuple[float, float]) -> None:
    table = LatentCodes(torch.full((2, 2), 0.5), rule=RowAdam(betas), constraint="ball")
    table.update(torch.tensor([1]), torch.zeros(1, 2), 0.1)
    assert torch.equal(table.codes, torch.full((2, 2), 0.5))


NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32)
TABLES = st.integers(1, 4).flatmap(
    lambda dim: st.lists(st.lists(NUMBERS, min_size=dim, max_size=dim), min_size=1, max_size=5)
)


@settings(deadline=None, max_examples=200)
@given(TABLES)
def test_projections_land_where_they_should(rows: list[list[float]]) -> None:
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


def test_sphere_sends_the_zero_code_to_the_first_axis() -> None:
    assert project(torch.zeros(2, 3), "sphere").tolist() == [[1, 0, 0]] * 2


@pytest.mark.parametrize("norm", [1.0, 1.5, 1e10])
def test_ball_brings_long_codes_to_its_surface(norm: float) -> None:
    codes = project(torch.tensor([[0.6, 0.8]]) * norm, "ball")
    torch.testing.assert_close(codes, torch.tensor([[0.6, 0.8]]))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["ball", "sphere"]),
    st.sampled_from([RowSGD(), RowAdam((0.0, 0.9)), RowAdam((0.9, 0.99))]),
    st.floats(0.0, 1e3),
    st.integers(0, 2**20),
)
def test_the_constraint_holds_after_every_update(
    constraint: str, rule: RowRule, lr: float, seed: int
) -> None:
    table = LatentCodes(5 * draw(6, 3, seed=seed), rule=rule, constraint=constraint)
    for step in range(4):
        norms = table.codes.norm(dim=1)
        assert bool((norms <= 1 + 1e-6).all())
        assert constraint == "ball" or bool((norms >= 1 - 1e-6).all())
        rows = torch.tensor([step, 5])
        table.update(rows, draw(2, 3, seed=seed + step), lr)


def test_kept_loose_rows_are_brought_back_together() -> None:
    table = LatentCodes(torch.zeros(3, 2), rule=RowSGD(), constraint="ball")
    change = table.update(torch.tensor([1]), torch.tensor([[-3.0, 0.0]]), 1.0, keep=False)
    assert change.tolist() == [[3.0, 0.0]]
    assert table.codes.tolist() == [[0, 0], [3, 0], [0, 0]]
    table.project_all()
    assert table.codes.tolist() == [[0, 0], [1, 0], [0, 0]]


def test_gathered_rows_collect_a_gradient_and_share_no_memory() -> None:
    table = LatentCodes(draw(4, 2), rule=RowSGD(), constraint="free")
    before = table.codes.clone()
    codes = table.gather(torch.tensor([2, 0]))
    codes.square().sum().backward()
    assert torch.equal(codes.grad, 2 * before[[2, 0]])
    with torch.no_grad():
        codes.zero_()
    assert torch.equal(table.codes, before)
    assert not table.codes.requires_grad


def test_a_table_goes_on_with_the_state_it_is_given() -> None:
    rows = torch.arange(4)
    whole = LatentCodes(draw(4, 2), rule=RowAdam(), constraint="sphere")
    for step in range(3):
        whole.update(rows, draw(4, 2, seed=step), 0.1)
    state = {name: tensor.clone() for name, tensor in whole.state.items()}
    again = LatentCodes(whole.codes.clone(), rule=RowAdam(), constraint="sphere", state=state)
    assert torch.equal(again.codes, whole.codes)
    for table in (whole, again):
        table.update(rows, draw(4, 2, seed=9), 0.1)
    assert torch.equal(again.codes, whole.codes)
    assert len(again) == 4


@pytest.mark.parametrize("shape", [(3,), (0, 2), (2, 0), (2, 2, 2)])
def test_a_table_has_rows_and_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"they must be \(N, D\)"):
        LatentCodes(torch.zeros(shape), rule=RowSGD(), constraint="ball")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_initial_codes_are_finite(value: float) -> None:
    with pytest.raises(UserError, match="must be finite"):
        LatentCodes(torch.tensor([[0.0, value]]), rule=RowSGD(), constraint="ball")
