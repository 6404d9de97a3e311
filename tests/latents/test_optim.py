"""Row-wise optimizers: rows move alone, as torch's optimizers move them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from glo.latents.optim import RowAdam, RowOptimizer, RowSGD
from glo.latents.table import LatentCodes

BETAS = [(0.0, 0.0), (0.0, 0.9), (0.9, 0.0), (0.5, 0.9), (0.9, 0.999)]
MAKERS: dict[str, Callable[[Any], RowOptimizer]] = {
    "sgd": lambda params: RowSGD(params, lr=0.1),
    "adam": lambda params: RowAdam(params, lr=0.1, betas=(0.9, 0.9)),
    "adam without momentum": lambda params: RowAdam(params, lr=0.1, betas=(0.0, 0.9)),
}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def move(codes: LatentCodes, optimizer: RowOptimizer, rows: Tensor, gradient: Tensor) -> None:
    optimizer.zero_grad()
    codes(rows, grad_scale=1.0).backward(gradient)
    optimizer.step()


@pytest.mark.parametrize("betas", BETAS)
def test_each_row_is_an_adam_of_its_own(betas: tuple[float, float]) -> None:
    start = draw(5, 2)
    codes = LatentCodes(start, constraint="free")
    optimizer = RowAdam(codes.parameters(), lr=0.05, betas=betas)
    alone = [row.clone().requires_grad_() for row in start]
    optimizers = [torch.optim.Adam([row], lr=0.05, betas=betas) for row in alone]
    for step in range(30):
        generator = torch.Generator().manual_seed(step)
        rows = torch.randperm(5, generator=generator)[: step % 5 + 1]
        gradient = draw(len(rows), 2, seed=100 + step)
        move(codes, optimizer, rows, gradient)
        for row, part in zip(rows.tolist(), gradient, strict=True):
            alone[row].grad = part.clone()
            optimizers[row].step()
    expected = torch.stack([row.detach() for row in alone])
    torch.testing.assert_close(codes.weight.detach(), expected, atol=2e-6, rtol=1e-5)


def test_sgd_is_torchs() -> None:
    start = draw(6, 4)
    codes = LatentCodes(start, constraint="free")
    optimizer = RowSGD(codes.parameters(), lr=0.3)
    theirs = start.clone().requires_grad_()
    reference = torch.optim.SGD([theirs], lr=0.3)
    for step in range(10):
        theirs.grad = draw(6, 4, seed=step + 1)
        reference.step()
        move(codes, optimizer, torch.arange(6), theirs.grad)
    torch.testing.assert_close(codes.weight, theirs)
    assert optimizer.row_state() == {}


@pytest.mark.parametrize("name", MAKERS)
def test_absent_rows_stay_bit_for_bit(name: str) -> None:
    codes = LatentCodes(draw(9, 3), constraint="free")
    optimizer = MAKERS[name](codes.parameters())
    move(codes, optimizer, torch.arange(9), draw(9, 3, seed=1))
    tensors = {"codes": codes.weight.detach(), **optimizer.row_state()}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    rows = torch.tensor([7, 0, 3])
    for step in range(5):
        move(codes, optimizer, rows, draw(3, 3, seed=step))
    absent = torch.tensor([1, 2, 4, 5, 6, 8])
    for name, tensor in tensors.items():
        assert torch.equal(tensor[absent], before[name][absent]), name
        assert not torch.equal(tensor[rows], before[name][rows]), name


def test_without_momentum_no_first_moment_is_stored() -> None:
    codes = LatentCodes(draw(4, 2))
    assert set(RowAdam(codes.parameters(), betas=(0.0, 0.9)).row_state()) == {"exp_avg_sq", "step"}


def test_gradients_of_several_backward_passes_and_repeated_rows_add_up() -> None:
    codes = LatentCodes(torch.zeros(3, 1), constraint="free")
    optimizer = RowSGD(codes.parameters(), lr=1.0)
    codes(torch.tensor([1, 1]), grad_scale=1.0).sum().backward()
    codes(torch.tensor([1, 2]), grad_scale=1.0).sum().backward()
    optimizer.step()
    assert codes.weight.detach().flatten().tolist() == [0.0, -3.0, -1.0]


@given(
    st.sampled_from(["ball", "sphere"]),
    st.sampled_from(sorted(MAKERS)),
    st.floats(0.0, 1e3),
    st.integers(0, 2**20),
)
def test_the_constraint_holds_after_every_projected_step(
    constraint: Any, name: str, lr: float, seed: int
) -> None:
    codes = LatentCodes(5 * draw(6, 3, seed=seed), constraint=constraint)
    optimizer = MAKERS[name](codes.parameters())
    optimizer.param_groups[0]["lr"] = lr
    for step in range(3):
        rows = torch.tensor([step, 5])
        move(codes, optimizer, rows, draw(2, 3, seed=seed + step))
        norms = codes.project_(rows).weight.detach().norm(dim=1)
        assert bool((norms <= 1 + 1e-6).all())
        assert constraint == "ball" or bool((norms >= 1 - 1e-6).all())


@pytest.mark.parametrize("name", MAKERS)
def test_a_restored_optimizer_continues_bit_for_bit(name: str) -> None:
    codes = LatentCodes(draw(4, 2))
    optimizer = MAKERS[name](codes.parameters())
    move(codes, optimizer, torch.tensor([0, 2]), draw(2, 2, seed=1))
    twin = copy.deepcopy(codes)
    restored = MAKERS[name](twin.parameters())
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for table, part in ((codes, optimizer), (twin, restored)):
        move(table, part, torch.tensor([2, 3]), draw(2, 2, seed=2))
    assert torch.equal(codes.weight, twin.weight)
    for key, value in optimizer.row_state().items():
        assert torch.equal(restored.row_state()[key], value)
        assert restored.row_state()[key].dtype == value.dtype


def test_reset_rows_start_anew() -> None:
    codes = LatentCodes(draw(3, 2))
    optimizer = RowAdam(codes.parameters())
    move(codes, optimizer, torch.arange(3), draw(3, 2, seed=1))
    optimizer.reset_rows(torch.tensor([1]))
    assert optimizer.row_state()["step"].tolist() == [1, 0, 1]
    assert optimizer.row_state()["exp_avg"][1].tolist() == [0.0, 0.0]


def test_torchs_schedulers_set_the_learning_rate() -> None:
    codes = LatentCodes(torch.zeros(2, 1), constraint="free")
    optimizer = RowSGD(codes.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for _ in range(3):
        move(codes, optimizer, torch.tensor([0]), torch.ones(1, 1))
        scheduler.step()
    assert codes.weight.detach().flatten().tolist() == [-1.75, 0.0]


def test_dense_gradients_are_refused() -> None:
    table = nn.Embedding(3, 2)
    table(torch.tensor([0])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        RowAdam(table.parameters()).step()


@pytest.mark.parametrize(
    ("options", "name"), [({"lr": -1.0}, "lr"), ({"betas": (0.9, 1.0)}, "betas")]
)
def test_options_out_of_range_are_refused(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        RowAdam(LatentCodes(draw(3, 2)).parameters(), **options)
