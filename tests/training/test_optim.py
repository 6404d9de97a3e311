"""The decoder's optimiser is torch's, part by part."""

import copy

import pytest
import torch
from torch import nn

from glo.config.settings import Settings
from glo.decoders import DCGAN
from glo.training.optim import JointOptimizer, decoder_optimizer


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 48), nn.Tanh(), nn.Linear(48, 30), nn.Softplus())


def descend(model: nn.Module, optimizers: list[torch.optim.Optimizer | JointOptimizer]) -> None:
    # Full rank: Muon would blow the rounding errors of empty directions up to whole steps.
    inputs = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        model.zero_grad()
        model(inputs).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_one_for_all_is_torchs_own(name: str) -> None:
    ours, theirs = network(), network()
    settings = Settings(decoder_optimizer=name, decoder_lr=0.03, decoder_betas=(0.4, 0.9))
    descend(ours, [decoder_optimizer(settings, ours)])
    if name == "sgd":
        reference: torch.optim.Optimizer = torch.optim.SGD(theirs.parameters(), lr=0.03)
    else:
        reference = torch.optim.Adam(theirs.parameters(), lr=0.03, betas=(0.4, 0.9))
    descend(theirs, [reference])
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_muon_takes_wide_matrices_and_adam_the_rest() -> None:
    ours, theirs = network(), network()
    before = copy.deepcopy(ours)
    settings = Settings(decoder_lr=0.02)
    descend(ours, [decoder_optimizer(settings, ours)])
    matrix, *rest = theirs.parameters()
    descend(
        theirs,
        [
            torch.optim.Muon([matrix], lr=0.02, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.Adam(rest, lr=0.02, betas=settings.decoder_betas, fused=True),
        ],
    )
    pairs = zip(ours.parameters(), theirs.parameters(), before.parameters(), strict=True)
    for one, two, old in pairs:
        torch.testing.assert_close(one, two)
        assert not torch.equal(one, old)


def test_every_parameter_of_a_decoder_has_one_optimiser() -> None:
    decoder = DCGAN(code_dim=32, shape=(1, 16, 16), width=32)
    optimizer = decoder_optimizer(Settings(), decoder)
    owned = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in decoder.parameters())
    assert len(optimizer.parts) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_the_last_layer_goes_by_adam(channels: int) -> None:
    decoder = DCGAN(code_dim=32, shape=(channels, 16, 16), width=64)
    muon, adam = decoder_optimizer(Settings(), decoder).parts
    *hidden, last = (p for p in decoder.parameters() if p.ndim == 2)
    assert [id(p) for p in muon.param_groups[0]["params"]] == [id(p) for p in hidden]
    assert any(p is last for p in adam.param_groups[0]["params"])


def test_what_is_restored_into_the_joint_state_reaches_its_part() -> None:
    model = network()
    optimizer = decoder_optimizer(Settings(), model)
    descend(model, [optimizer])
    matrix = next(model.parameters())
    optimizer.state[matrix]["momentum_buffer"] = torch.ones_like(matrix)
    assert torch.equal(optimizer.parts[0].state[matrix]["momentum_buffer"], torch.ones(48, 32))


def test_zero_grad_forgets_everywhere() -> None:
    model = network()
    optimizer = decoder_optimizer(Settings(), model)
    descend(model, [optimizer])
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())
