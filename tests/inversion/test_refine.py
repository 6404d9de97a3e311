"""Refinement: the decoder never moves, rows do not influence each other, and no loss increases."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glo.data import Dataset
from glo.decoders import MLP
from glo.inversion.refine import refine_codes
from glo.latents.table import LatentCodes
from glo.losses import MSELoss, parse_loss
from glo.training.evaluation import evaluate, squared_errors
from glo.training.state import TrainState


def copy(training: TrainState, constraint: Any = None) -> LatentCodes:
    constraint = constraint or training.latents.constraint
    return LatentCodes(training.codes.clone(), constraint=constraint)


def run(trained: tuple[TrainState, Dataset], latents: LatentCodes, passes: int = 4) -> list[int]:
    training, samples = trained
    return list(refine_codes(training.decoder, latents, samples, MSELoss(), passes=passes))


def test_the_error_falls_with_the_passes(trained: tuple[TrainState, Dataset]) -> None:
    training, samples = trained
    errors = []
    for passes in (0, 2, 20):
        latents = copy(training)
        run(trained, latents, passes)
        errors.append(
            evaluate(training.decoder, latents.weight.detach(), samples, training.settings)
        )
    start = evaluate(training.decoder, training.codes, samples, training.settings)
    assert errors[0] == start
    assert errors[0] > 1.01 * errors[1]
    assert errors[1] > 1.01 * errors[2]


@pytest.mark.parametrize("name", ["mse", "l1", "lap1"])
def test_no_row_gets_worse_in_any_loss(trained: tuple[TrainState, Dataset], name: str) -> None:
    training, samples = trained
    latents, loss = copy(training), parse_loss(name)
    for _ in refine_codes(training.decoder, latents, samples, loss, passes=3):
        pass
    target = samples.batch(torch.arange(len(samples)))
    before, after = (
        loss(training.decoder(codes).detach(), target, None)
        for codes in (training.codes, latents.weight.detach())
    )
    assert (after <= before * (1 + 1e-5)).all()
    assert after.mean() < 0.999 * before.mean()


def test_codes_of_a_linear_decoder_become_least_squares_solutions() -> None:
    torch.manual_seed(0)
    decoder = MLP(code_dim=3, shape=(20,), hidden=[])
    # Directions of very different curvature, which one learning rate for all would not serve.
    weight = next(p for p in decoder.parameters() if p.ndim == 2)
    with torch.no_grad():
        weight.copy_(torch.linalg.qr(torch.randn(20, 3))[0] * torch.tensor([0.3, 1.0, 3.0]))
    wanted = torch.randn(50, 3)
    samples = Dataset(rows=decoder(wanted).detach().numpy(), name="linear")
    latents = LatentCodes(wanted + 0.5 * torch.randn(50, 3), constraint="free")
    for _ in refine_codes(decoder, latents, samples, MSELoss(), passes=30):
        pass
    torch.testing.assert_close(latents.weight.detach(), wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("mode", [True, False])
def test_the_decoder_does_not_change(trained: tuple[TrainState, Dataset], mode: bool) -> None:
    training, _ = trained
    decoder = training.decoder.train(mode)
    frozen = next(decoder.parameters())
    frozen.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    decoder.zero_grad(set_to_none=True)
    run(trained, copy(training))
    assert any(name.endswith("running_mean") for name in before)
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in decoder.parameters())
    flags = [parameter.requires_grad for parameter in decoder.parameters()]
    assert flags == [False] + [True] * (len(flags) - 1)
    frozen.requires_grad_(True)


def test_a_stopped_refinement_restores_the_decoder(
    trained: tuple[TrainState, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.inversion.refine.rows_per_batch", lambda *_: 8)
    training, samples = trained
    latents = copy(training)
    rows = refine_codes(training.decoder, latents, samples, MSELoss(), passes=1)
    assert next(rows) == 8
    rows.close()
    assert all(parameter.requires_grad for parameter in training.decoder.parameters())
    assert torch.equal(latents.weight[8:], training.codes[8:])


@pytest.mark.parametrize("size", [1, 5, 32])
def test_rows_do_not_influence_each_other(
    trained: tuple[TrainState, Dataset], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, _ = trained
    whole, parts = copy(training), copy(training)
    assert run(trained, whole) == [32]
    monkeypatch.setattr("glo.inversion.refine.rows_per_batch", lambda *_: size)
    assert run(trained, parts) == [min(low + size, 32) for low in range(0, 32, size)]
    torch.testing.assert_close(parts.weight, whole.weight, atol=1e-3, rtol=1e-2)
    assert (whole.weight - training.codes).norm(dim=1).min() > 1e-3


@pytest.mark.parametrize("constraint", ["ball", "sphere"])
def test_refined_codes_keep_the_constraint(
    trained: tuple[TrainState, Dataset], constraint: str
) -> None:
    latents = copy(trained[0], constraint)
    run(trained, latents)
    norms = latents.weight.detach().norm(dim=1)
    assert norms.max() <= 1 + 1e-6
    assert constraint == "ball" or norms.min() >= 1 - 1e-6


def test_missing_pixels_have_no_influence(trained: tuple[TrainState, Dataset]) -> None:
    training, samples = trained
    rng = np.random.default_rng(0)
    missing = rng.random((32, 8, 8, 1)) < 0.4
    noise = rng.integers(0, 255, samples.rows.shape, dtype=np.uint8)
    codes, errors = list[Tensor](), list[Tensor]()
    for rows in (samples.rows, np.where(missing, noise, samples.rows)):
        incomplete = Dataset(rows=rows, missing=missing, name="incomplete")
        latents = copy(training)
        run((training, incomplete), latents)
        refined = latents.weight.detach()
        codes.append(refined)
        errors.append(squared_errors(training.decoder, refined, incomplete, training.settings))
    assert torch.equal(codes[0], codes[1])
    assert torch.equal(errors[0], errors[1])


def test_a_row_without_a_finite_loss_keeps_its_code(trained: tuple[TrainState, Dataset]) -> None:
    training, samples = trained

    class Broken(nn.Module):
        def forward(self, output: Tensor, target: Tensor, observed: Tensor | None) -> Tensor:
            losses = MSELoss()(output, target, observed)
            first = (target.flatten(1) == samples.batch(torch.arange(1)).flatten(1)).all(1)
            return torch.where(first, torch.nan, losses)

    latents = copy(training)
    for _ in refine_codes(training.decoder, latents, samples, Broken(), passes=2):
        pass
    assert torch.equal(latents.weight[0], training.codes[0])
    assert latents.weight.isfinite().all()
