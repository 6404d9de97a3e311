"""The decoder's optimizer is torch's, part by part; Muon sees kernels as matrices."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, Muon, Optimizer

from glo.config.settings import Settings
from glo.decoders import DCGAN, Decoder, ResNet
from glo.training.optim import ChainedOptimizer, MatrixMuon, decoder_optimizer


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 48), nn.Tanh(), nn.Linear(48, 30), nn.Softplus())


def descend(model: nn.Module, *optimizers: Optimizer | ChainedOptimizer) -> None:
    # Full rank: Muon would blow the rounding errors of empty directions up to whole steps.
    inputs = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        model.zero_grad()
        model(inputs).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "adam", "muon"])
def test_each_part_is_an_optimizer_of_torch(name: str) -> None:
    ours, theirs = network(), network()
    before = copy.deepcopy(ours)
    settings = Settings(decoder_optimizer=name, decoder_lr=0.03, decoder_betas=(0.4, 0.9))
    descend(ours, decoder_optimizer(settings, ours))
    matrix, *rest = theirs.parameters()
    adam = {"lr": 0.03, "betas": (0.4, 0.9)}
    references: dict[str, list[Optimizer]] = {
        "sgd": [SGD(theirs.parameters(), lr=0.03)],
        "adam": [Adam(theirs.parameters(), **adam)],
        "muon": [
            Muon([matrix], lr=0.03, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            Adam(rest, **adam),
        ],
    }
    descend(theirs, *references[name])
    triples = zip(ours.parameters(), theirs.parameters(), before.parameters(), strict=True)
    for one, two, old in triples:
        torch.testing.assert_close(one, two)
        assert not torch.equal(one, old)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_kernel_moves_as_its_matrix(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 40, 3).to(memory_format=memory_format)
    matrix = nn.Parameter(layer.weight.detach().flatten(1).clone())
    ours = MatrixMuon([layer.weight], lr=0.1)
    theirs = Muon([matrix], lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        ours.zero_grad()
        layer(torch.randn(64, 32, 5, 5)).square().sum().backward()
        assert layer.weight.grad is not None
        matrix.grad = layer.weight.grad.flatten(1).clone()
        ours.step()
        theirs.step()
    assert layer.weight.is_contiguous(memory_format=memory_format)
    # Another order of the columns rounds differently in Muon's bfloat16.
    torch.testing.assert_close(layer.weight.flatten(1), matrix, atol=0.02, rtol=0.0)


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
    (matrix,) = muon.param_groups[0]["params"]
    assert torch.equal(muon.state[matrix]["momentum_buffer"], torch.ones(48, 32))


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_reaches_every_part(set_to_none: bool) -> None:
    model = network()
    optimizer = decoder_optimizer(Settings(), model)
    descend(model, optimizer)
    optimizer.zero_grad(set_to_none=set_to_none)
    assert all((p.grad is None) if set_to_none else not p.grad.any() for p in model.parameters())
