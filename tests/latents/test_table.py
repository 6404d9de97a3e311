"""`LatentCodes`: an nn.Module with row-sparse gradients whose scale is free of the batch size."""

import copy
import pickle

import pytest
import torch

from glo.errors import UserError
from glo.latents.table import LatentCodes


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_gradient_of_a_code_is_that_of_its_own_loss() -> None:
    start = draw(6, 3)
    for rows in (torch.tensor([4]), torch.tensor([2, 0, 5])):
        codes = LatentCodes(start, constraint="free")
        codes(rows).square().sum(1).mean().backward()
        gradient = codes.weight.grad.to_dense()
        expected = torch.zeros(6, 3)
        expected[rows] = 2 * start[rows]
        torch.testing.assert_close(gradient, expected)


def test_grad_scale_replaces_the_batch_size() -> None:
    codes = LatentCodes(draw(4, 2), constraint="free")
    codes(torch.tensor([1, 3]), grad_scale=0.5).sum().backward()
    assert codes.weight.grad.to_dense()[:, 0].tolist() == [0.0, 0.5, 0.0, 0.5]


def test_the_gradient_names_the_rows_of_the_batch_alone() -> None:
    codes = LatentCodes(draw(1000, 2))
    codes(torch.tensor([7, 3])).sum().backward()
    assert codes.weight.grad.is_sparse
    assert codes.weight.grad.coalesce().indices().tolist() == [[3, 7]]


def test_gathered_codes_share_no_memory_and_need_no_gradient_without_grad() -> None:
    codes = LatentCodes(draw(4, 2))
    before = codes.weight.detach().clone()
    with torch.no_grad():
        codes(torch.tensor([0])).zero_()
    assert torch.equal(codes.weight, before)
    assert not codes.requires_grad_(False)(torch.tensor([0])).requires_grad


@pytest.mark.parametrize("constraint", ["ball", "sphere", "free"])
def test_initial_codes_are_copied_and_projected(constraint: str) -> None:
    start = 5 * draw(5, 2)
    before = start.clone()
    codes = LatentCodes(start, constraint=constraint)
    assert torch.equal(start, before)
    norms = codes.weight.detach().norm(dim=1)
    assert constraint == "free" or bool((norms <= 1 + 1e-6).all())
    assert constraint != "sphere" or bool((norms >= 1 - 1e-6).all())


def test_project_moves_the_named_rows_or_all() -> None:
    codes = LatentCodes(torch.zeros(3, 2))
    codes.weight.data.fill_(3.0)
    codes.project_(torch.tensor([1]))
    assert codes.weight.detach().norm(dim=1).tolist() == pytest.approx([18**0.5, 1.0, 18**0.5])
    assert codes.project_() is codes
    assert codes.weight.detach().norm(dim=1).tolist() == pytest.approx([1.0] * 3)


def test_it_is_a_module() -> None:
    codes = LatentCodes(draw(4, 2))
    other = LatentCodes(torch.zeros(4, 2))
    other.load_state_dict(codes.state_dict())
    for twin in (other, copy.deepcopy(codes), pickle.loads(pickle.dumps(codes))):
        assert torch.equal(twin.weight, codes.weight)
        assert twin.constraint == "ball"
    assert len(codes) == 4
    assert repr(codes) == "LatentCodes(4, 2, constraint='ball')"
    assert codes.to(torch.float64)(torch.tensor([0])).dtype == torch.float64


@pytest.mark.parametrize("shape", [(3,), (0, 2), (2, 0), (2, 2, 2)])
def test_a_table_has_rows_and_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="codes have shape"):
        LatentCodes(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_initial_codes_are_finite(value: float) -> None:
    with pytest.raises(UserError, match="codes hold NaN"):
        LatentCodes(torch.tensor([[0.0, value]]))
