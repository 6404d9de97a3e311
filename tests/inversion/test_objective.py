"""Value and gradient of the objective."""

from collections.abc import Callable

import torch

from glo.decoders import Decoder
from glo.inversion import AveragePool, InitialCodes
from glo.inversion.frozen_decoder import frozen_decoder
from glo.inversion.objective import Objective
from glo.losses import L1Loss, MSELoss

Make = Callable[..., tuple[Decoder, InitialCodes]]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_value_and_gradient_are_those_of_the_formula(images: tuple[Decoder, InitialCodes]) -> None:
    decoder, _ = images
    codes, rows = 0.3 * draw(4, 4), torch.tensor([2, 0, 0, 1])
    target, centers, root = draw(3, 3, 2, 2, seed=1), draw(4, 4, seed=2), draw(4, 4, 4, seed=3)
    mask = (draw(3, 1, 2, 2, seed=4) > -0.3).float()
    weights = torch.tensor([0.1, 0.2, 0.3])
    with frozen_decoder(decoder, "float32") as fixed:
        objective = Objective(
            decode=fixed,
            operator=AveragePool(factor=4),
            loss=L1Loss(),
            target=target,
            mask=mask,
            weights=weights,
            log_density=lambda z: 7.0 - z.pow(4).sum(1),
            peak=7.0,
        )
        values = objective.evaluate(codes, rows, centers, root @ root.mT)
    leaf = codes.clone().requires_grad_()
    output = decoder(leaf).view(4, 3, 2, 4, 2, 4).mean((3, 5))
    weight = mask[rows].expand_as(output)
    loss = ((output - target[rows]).abs() * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)
    energy = 0.5 * ((root.mT @ (leaf - centers).unsqueeze(2)).squeeze(2) ** 2).sum(1)
    total = loss + weights[rows] * (leaf.pow(4).sum(1) + energy)
    total.sum().backward()
    assert leaf.grad is not None
    actual_total, residual, gradient = values
    torch.testing.assert_close(residual, loss.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(actual_total, total.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, leaf.grad, atol=1e-5, rtol=1e-4)
    assert not gradient.requires_grad


def test_a_search_works_where_gradients_are_switched_off(linear: Make) -> None:
    decoder, _ = linear()
    with frozen_decoder(decoder, "float32") as fixed, torch.no_grad():
        objective = Objective(
            decode=fixed,
            operator=None,
            loss=MSELoss(),
            target=draw(2, 8),
            mask=None,
            weights=torch.ones(2),
            log_density=None,
        )
        _, _, gradient = objective.evaluate(draw(2, 3), torch.arange(2), None, None)
    assert float(gradient.abs().min()) > 0
