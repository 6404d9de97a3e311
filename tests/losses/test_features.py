"""The feature loss leaves the user's network alone."""

import torch
from torch import nn

from glo.losses import FeatureLoss, MSELoss


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten())


def test_the_users_network_is_left_as_it_was() -> None:
    own = network().train()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    loss = FeatureLoss(network=own)
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    loss(x, torch.rand(2, 1, 8, 8)).sum().backward()
    assert own.training
    assert x.grad is not None
    assert x.grad.any()
    assert all(p.requires_grad and p.grad is None for p in own.parameters())
    assert all(torch.equal(before[name], value) for name, value in own.state_dict().items())


def test_the_copy_is_frozen() -> None:
    loss = FeatureLoss(network=network())
    assert not loss.network.training
    assert not any(p.requires_grad for p in loss.network.parameters())
    x, y = torch.rand(2, 2, 1, 8, 8)
    assert torch.equal(loss(x, y), loss(x, y))


def test_the_identity_gives_the_squared_error() -> None:
    x, y = torch.rand(2, 3, 1, 8, 8)
    torch.testing.assert_close(FeatureLoss(network=nn.Identity())(x, y), MSELoss()(x, y))


def test_layers_count_alike() -> None:
    class Halves(nn.Module):
        def forward(self, vectors: torch.Tensor) -> list[torch.Tensor]:
            return [vectors[:, :1], vectors[:, 1:]]

    value = FeatureLoss(network=Halves())(torch.tensor([[2.0, 0.0, 0.0, 0.0]]), torch.zeros(1, 4))
    assert value.tolist() == [2.0]
