"""SGD and Adam are torch's; Muon orthogonalizes kernels as matrices, and moves as torch's does."""

import copy
import socket
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from torch.optim import SGD, Adam, Muon, Optimizer

from glo.config.settings import Settings
from glo.decoders import DCGAN, Decoder, ResNet
from glo.training.optim import (
    QUINTICS,
    ChainedOptimizer,
    MatrixMuon,
    apply_factor,
    decoder_optimizer,
    orthogonal_factor,
)
from glo.utils.distributed import ProcessGroup


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 48), nn.Tanh(), nn.Linear(48, 30), nn.Softplus())


def descend(
    model: nn.Module, optimizer: Optimizer | ChainedOptimizer, found_inf: Tensor | None = None
) -> None:
    # Full rank: Muon would blow the rounding errors of empty directions up to whole steps.
    inputs = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        model.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step(*(() if found_inf is None else (found_inf,)))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_each_part_is_an_optimizer_of_torch(name: str) -> None:
    ours, theirs = network(), network()
    before = copy.deepcopy(ours)
    settings = Settings(decoder_optimizer=name, decoder_lr=0.03, decoder_betas=(0.4, 0.9))
    descend(ours, decoder_optimizer(settings, ours))
    parameters = list(theirs.parameters())
    reference = {
        "sgd": SGD(parameters, lr=0.03),
        "adam": Adam(parameters, lr=0.03, betas=(0.4, 0.9)),
    }
    descend(theirs, reference[name])
    triples = zip(ours.parameters(), theirs.parameters(), before.parameters(), strict=True)
    for one, two, old in triples:
        torch.testing.assert_close(one, two)
        assert not torch.equal(one, old)


def with_spectrum(shape: tuple[int, int], values: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(shape[0], len(values), generator=generator))[0]
    right = torch.linalg.qr(torch.randn(shape[1], len(values), generator=generator))[0]
    return left * values @ right.T


def orthogonalized(matrix: Tensor) -> Tensor:
    weight = torch.zeros_like(matrix)
    apply_factor(weight, matrix, orthogonal_factor(matrix))
    return weight


@pytest.mark.parametrize("shape", [(32, 320), (320, 32), (48, 48), (40, 64)])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("bf16", [False, True])
def test_singular_values_become_nearly_one_and_vectors_stay(
    shape: tuple[int, int], scale: float, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.training.optim.gains_from_bf16", lambda device: bf16)
    matrix = with_spectrum(shape, torch.logspace(0, -1.9, min(shape)) * scale)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonalized(matrix) @ right.T
    values = found.diagonal()
    assert values.min() > 0.64
    assert values.max() < 1.21
    exact = not bf16 or max(shape) >= 2 * min(shape)
    assert (found - values.diag()).abs().max() < (1e-3 if exact else 0.05)


@pytest.mark.parametrize("shape", [(32, 320), (48, 48)])
def test_one_large_direction_or_none_is_no_blow_up(shape: tuple[int, int]) -> None:
    assert torch.equal(orthogonalized(torch.zeros(shape)), torch.zeros(shape))
    values = torch.full((32,), 1e-6)
    values[0] = 1.0
    found = torch.linalg.svdvals(orthogonalized(with_spectrum(shape, values)))
    assert 0.6 < found[0] < 1.21
    assert found[1] < 0.1


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [(32, 40), (40, 8)])
def test_a_kernel_moves_as_its_matrix_does_with_torch(
    memory_format: torch.memory_format, channels: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(channels[1], channels[0], 3).to(memory_format=memory_format)
    before = layer.weight.detach().flatten(1).clone()
    matrix = nn.Parameter(before.clone())
    ours = MatrixMuon([layer.weight], lr=0.1)
    theirs = Muon([matrix], lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        ours.zero_grad()
        layer(torch.randn(64, channels[1], 5, 5)).square().sum().backward()
        assert layer.weight.grad is not None
        matrix.grad = layer.weight.grad.flatten(1).clone()
        ours.step()
        theirs.step()
        momentum = ours.state[layer.weight]["momentum_buffer"].flatten(1)
        torch.testing.assert_close(momentum, theirs.state[matrix]["momentum_buffer"])
    assert layer.weight.is_contiguous(memory_format=memory_format)
    moved, reference = layer.weight.flatten(1) - before, matrix - before
    assert cosine_similarity(moved.flatten(), reference.flatten(), dim=0) > 0.95
    assert 0.85 < moved.norm() / reference.norm() < 1.2


@pytest.mark.parametrize("name", ["sgd", "adam", "muon"])
def test_a_step_marked_non_finite_changes_no_bit(name: str) -> None:
    skipping, plain = network(), network()
    settings = Settings(decoder_optimizer=name)
    ours, theirs = decoder_optimizer(settings, skipping), decoder_optimizer(settings, plain)
    descend(skipping, ours, found_inf=torch.tensor(0.0))
    descend(plain, theirs)
    for parameter in skipping.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    ours.step(torch.tensor(1.0))
    for _ in range(2):
        for one, two in zip(skipping.parameters(), plain.parameters(), strict=True):
            assert torch.equal(one, two)
        descend(skipping, ours, found_inf=torch.tensor(0.0))
        descend(plain, theirs)


def test_a_rate_may_be_a_tensor() -> None:
    one, two = network(), network()
    descend(one, MatrixMuon([next(one.parameters())], lr=0.03))
    descend(two, MatrixMuon([next(two.parameters())], lr=torch.tensor(0.03)))
    torch.testing.assert_close(next(one.parameters()), next(two.parameters()))


def share(rank: int, port: int) -> None:
    """Train as one of two processes, and compare with one process that orthogonalizes all."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    shapes = [(32, 320), (48, 48), (320, 32), (60, 48), (40, 200)]
    generator = torch.Generator().manual_seed(0)
    alone = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    shared = copy.deepcopy(alone)
    ours = MatrixMuon(shared, lr=0.1, ranks=ProcessGroup(rank, 2))
    theirs = MatrixMuon(alone, lr=0.1)
    for _ in range(3):
        for one, two in zip(shared, alone, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            two.grad = one.grad.clone()
        with patch("glo.training.optim.orthogonal_factor", wraps=orthogonal_factor) as made:
            ours.step()
        assert 0 < made.call_count < len(shapes)
        theirs.step()
    for one, two in zip(shared, alone, strict=True):
        assert torch.equal(one, two)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_share_the_work_and_have_the_bits_of_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(share, (port,), nprocs=2)


def test_most_of_the_work_in_one_matrix_is_not_shared() -> None:
    weights = [nn.Parameter(torch.ones(64, 256)), nn.Parameter(torch.ones(32, 32))]
    for weight in weights:
        weight.grad = torch.eye(*weight.shape)
    # No process group is initialized: a message would be an error.
    MatrixMuon(weights, lr=0.1, ranks=ProcessGroup(0, 2)).step()
    assert not any(torch.equal(weight, torch.ones(weight.shape)) for weight in weights)


def test_the_polynomials_have_the_stated_range() -> None:
    values = torch.logspace(-2, 0, 100_000, dtype=torch.float64)
    slope = 1.0
    for a, b, c in QUINTICS:
        values = a * values + b * values**3 + c * values**5
        slope *= a
    assert values.min() == pytest.approx(0.67, abs=0.005)
    assert values.max() == pytest.approx(1.20, abs=0.005)
    assert slope == pytest.approx(73, abs=0.5)


@pytest.mark.parametrize(
    ("decoder", "expected"),
    [
        (DCGAN(code_dim=32, shape=(3, 16, 16), width=64), ["net.0.weight", "net.3.weight"]),
        (DCGAN(code_dim=4, shape=(1, 8, 8), width=4), []),
        (
            ResNet(code_dim=32, shape=(3, 8, 8), width=64),
            [
                "first.weight",
                "blocks.0.small.weight",
                "blocks.0.large.weight",
                "blocks.0.skip.weight",
            ],
        ),
    ],
)
def test_muon_takes_wide_hidden_weights_and_adam_the_rest(
    decoder: Decoder, expected: list[str]
) -> None:
    optimizer = decoder_optimizer(Settings(), decoder)
    places = {
        weight.data_ptr(): type(part)
        for part in optimizer.optimizers
        for group in part.param_groups
        for weight in group["params"]
    }
    assert len(places) == len(list(decoder.parameters()))
    muons = [n for n, p in decoder.named_parameters() if places[p.data_ptr()] is MatrixMuon]
    assert sorted(muons) == sorted(expected)


def test_a_restored_state_reaches_its_part() -> None:
    model = network()
    optimizer = decoder_optimizer(Settings(), model)
    descend(model, optimizer)
    state = next(iter(optimizer.state.values()))
    state["momentum_buffer"] = torch.ones(48, 32)
    muon = optimizer.optimizers[0]
    (weight,) = muon.param_groups[0]["params"]
    assert torch.equal(muon.state[weight]["momentum_buffer"], torch.ones(48, 32))


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_reaches_every_part(set_to_none: bool) -> None:
    model = network()
    optimizer = decoder_optimizer(Settings(), model)
    descend(model, optimizer)
    optimizer.zero_grad(set_to_none=set_to_none)
    assert all((p.grad is None) if set_to_none else not p.grad.any() for p in model.parameters())
