"""Codes alone: the decoder never moves, rows do not meet, and the error falls."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from glo.data import Dataset
from glo.decoders.decode import decode
from glo.latents.table import LatentCodes
from glo.losses import MSELoss
from glo.training.factory import code_optimizer
from glo.training.loop import train
from glo.training.refine import evaluate, recompute_batchnorm_stats, refine_codes, squared_errors
from glo.training.state import TrainState

Maker = Callable[..., Dataset]
Begin = Callable[..., TrainState]


@pytest.fixture(scope="module")
def trained(blobs: Maker, begin: Begin) -> tuple[TrainState, Dataset]:
    samples = blobs(32)
    training = begin(samples, batch_size=8, epochs=8, decoder_lr=0.01)
    for _ in train(training, samples):
        pass
    recompute_batchnorm_stats(training.decoder, training.codes, training.settings)
    return training, samples


class Copy:
    """A copy of a run's codes and of their optimizer."""

    def __init__(self, training: TrainState, constraint: str | None = None) -> None:
        constraint = constraint or training.latents.constraint
        self.latents = LatentCodes(training.codes.clone(), constraint=constraint)
        state = training.code_optimizer.row_state()
        self.state = {name: tensor.clone() for name, tensor in state.items()}
        self.optimizer = code_optimizer(training.settings, self.latents, state=self.state)

    @property
    def codes(self) -> torch.Tensor:
        return self.latents.weight.detach()


def run(trained: tuple[TrainState, Dataset], copy: Copy, **changes: Any) -> list[int]:
    training, samples = trained
    choices = {"passes": 4, "lr": 0.03, "settings": training.settings} | changes
    return list(
        refine_codes(training.decoder, copy.latents, copy.optimizer, samples, MSELoss(), **choices)
    )


def test_polish_lowers_the_error_of_every_setting_of_passes(
    trained: tuple[TrainState, Dataset],
) -> None:
    training, samples = trained
    errors = []
    for passes in (0, 2, 20):
        table = Copy(training)
        run(trained, table, passes=passes)
        errors.append(evaluate(training.decoder, table.codes, samples, training.settings))
    start = evaluate(training.decoder, training.codes, samples, training.settings)
    assert errors[0] == start
    assert errors[0] > 1.01 * errors[1]
    assert errors[1] > 1.01 * errors[2]


@pytest.mark.parametrize("lr", [0.03, 3.0, 100.0])
def test_polish_makes_no_row_worse_whatever_the_rate(
    trained: tuple[TrainState, Dataset], lr: float
) -> None:
    training, samples = trained
    table = Copy(training)
    run(trained, table, lr=lr)
    before, after = (
        squared_errors(training.decoder, codes, samples, training.settings)
        for codes in (training.codes, table.codes)
    )
    assert (after <= before * (1 + 1e-5)).all()
    assert (after < before).any()


@pytest.mark.parametrize("mode", [True, False])
def test_polish_never_moves_the_decoder(trained: tuple[TrainState, Dataset], mode: bool) -> None:
    training, _ = trained
    decoder = training.decoder.train(mode)
    frozen = next(decoder.parameters())
    frozen.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    decoder.zero_grad(set_to_none=True)
    run(trained, Copy(training))
    assert any(name.endswith("running_mean") for name in before)
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in decoder.parameters())
    flags = [parameter.requires_grad for parameter in decoder.parameters()]
    assert flags == [False] + [True] * (len(flags) - 1)
    frozen.requires_grad_(True)


def test_a_stopped_polish_gives_the_decoder_back(
    trained: tuple[TrainState, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.training.refine._BATCH", 8)
    training, samples = trained
    table = Copy(training)
    rows = refine_codes(
        training.decoder,
        table.latents,
        table.optimizer,
        samples,
        MSELoss(),
        passes=1,
        lr=0.1,
        settings=training.settings,
    )
    assert next(rows) == 8
    rows.close()
    assert all(parameter.requires_grad for parameter in training.decoder.parameters())
    assert torch.equal(table.codes[8:], training.codes[8:])


@pytest.mark.parametrize("size", [1, 5, 32])
def test_rows_do_not_influence_each_other(
    trained: tuple[TrainState, Dataset], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, _ = trained
    whole, parts = Copy(training), Copy(training)
    assert run(trained, whole) == [32]
    monkeypatch.setattr("glo.training.refine._BATCH", size)
    assert run(trained, parts) == [min(low + size, 32) for low in range(0, 32, size)]
    torch.testing.assert_close(parts.codes, whole.codes, atol=1e-4, rtol=1e-3)
    assert (whole.codes - training.codes).norm(dim=1).min() > 1e-3


def test_polish_goes_on_with_what_the_optimiser_remembers(
    trained: tuple[TrainState, Dataset],
) -> None:
    remembered, forgotten = Copy(trained[0]), Copy(trained[0])
    for tensor in forgotten.state.values():
        tensor.zero_()
    before = remembered.state["step"].clone()
    run(trained, remembered)
    run(trained, forgotten)
    assert torch.equal(remembered.state["step"] - before, forgotten.state["step"])
    assert not torch.allclose(remembered.codes, forgotten.codes, atol=1e-4)


def test_moments_made_by_a_mean_are_polished_by_a_mean(
    trained: tuple[TrainState, Dataset],
) -> None:
    settings = trained[0].settings
    row, mean = Copy(trained[0]), Copy(trained[0])
    mean.state["exp_avg_sq"] /= settings.batch_size**2
    run(trained, row)
    run(trained, mean, settings=replace(settings, code_grad_reduction="mean"))
    torch.testing.assert_close(mean.codes, row.codes, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("constraint", ["ball", "sphere"])
def test_polished_codes_keep_the_constraint(
    trained: tuple[TrainState, Dataset], constraint: str
) -> None:
    table = Copy(trained[0], constraint)
    run(trained, table, lr=0.5)
    norms = table.codes.norm(dim=1)
    assert norms.max() <= 1 + 1e-6
    assert constraint == "ball" or norms.min() >= 1 - 1e-6


def test_hidden_pixels_do_not_pull(trained: tuple[TrainState, Dataset]) -> None:
    training, samples = trained
    rng = np.random.default_rng(0)
    missing = rng.random((32, 8, 8, 1)) < 0.4
    noise = rng.integers(0, 255, samples.rows.shape, dtype=np.uint8)
    codes, errors = [], []
    for rows in (samples.rows, np.where(missing, noise, samples.rows)):
        holes = Dataset(rows=rows, missing=missing, name="holes")
        table = Copy(training)
        run((training, holes), table)
        codes.append(table.codes)
        errors.append(squared_errors(training.decoder, table.codes, holes, training.settings))
    assert torch.equal(codes[0], codes[1])
    assert torch.equal(errors[0], errors[1])


def training_mode_error(training: TrainState, samples: Dataset) -> float:
    """The error with batch norm's statistics taken from all rows at once."""
    saved = {name: tensor.clone() for name, tensor in training.decoder.state_dict().items()}
    with torch.no_grad():
        output = training.decoder.train()(training.codes)
    training.decoder.load_state_dict(saved)
    target = samples.batch(torch.arange(len(samples)))
    return float(MSELoss()(output, target).mean())


def spoil(training: TrainState) -> None:
    for name, buffer in training.decoder.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.fill_(3.0)


@pytest.mark.parametrize("n", [5, 16, 17, 40])
def test_settled_evaluation_is_like_training(blobs: Maker, begin: Begin, n: int) -> None:
    samples = blobs(n)
    training = begin(samples, batch_size=16, epochs=30, decoder_lr=0.01)
    for _ in train(training, samples):
        pass
    spoil(training)
    codes, settings = training.codes, training.settings
    weights = [parameter.detach().clone() for parameter in training.decoder.parameters()]
    wanted = training_mode_error(training, samples)
    assert evaluate(training.decoder, codes, samples, settings) > 1.5 * wanted
    recompute_batchnorm_stats(training.decoder, codes, settings)
    assert not training.decoder.training
    assert evaluate(training.decoder, codes, samples, settings) == pytest.approx(wanted, rel=0.1)
    assert all(map(torch.equal, weights, training.decoder.parameters()))


def test_a_tail_of_one_row_does_not_sway_the_statistics(blobs: Maker, begin: Begin) -> None:
    training = begin(blobs(17), batch_size=16)
    codes = torch.zeros(17, 3)
    codes[-1, 0] = 1.0
    recompute_batchnorm_stats(training.decoder, codes, training.settings)
    # The first layer is linear, so its mean tells the weight that the last row was given.
    first, norm = training.decoder.net[0], training.decoder.net[1]
    alone = first(codes[-1:]).mean((0, 2, 3))
    share = norm.running_mean / alone
    torch.testing.assert_close(share, torch.full_like(share, 1 / 17), atol=0.01, rtol=0.0)


def test_settle_leaves_a_decoder_without_batch_norm_alone(vectors: Maker, begin: Begin) -> None:
    training = begin(vectors(6))
    before = {name: tensor.clone() for name, tensor in training.decoder.state_dict().items()}
    recompute_batchnorm_stats(training.decoder, training.codes, training.settings)
    for name, tensor in training.decoder.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_errors_are_those_of_each_row(
    trained: tuple[TrainState, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    training, samples = trained
    codes, settings = training.codes, training.settings
    training.decoder.eval()
    with torch.no_grad():
        difference = training.decoder(codes) - samples.batch(torch.arange(32))
    expected = difference.square().flatten(1).mean(1)
    monkeypatch.setattr("glo.training.refine._BATCH", 7)
    errors = squared_errors(training.decoder.train(), codes, samples, settings)
    torch.testing.assert_close(errors, expected, atol=1e-5, rtol=1e-4)
    mean = evaluate(training.decoder, codes, samples, settings)
    assert mean == pytest.approx(float(expected.mean()), rel=1e-4)


def test_decoding_is_in_evaluation_mode_and_without_gradient(
    trained: tuple[TrainState, Dataset],
) -> None:
    training, _ = trained
    codes = training.codes
    pictures = decode(training.decoder.train(), codes, training.settings.precision)
    assert pictures.shape == (32, 1, 8, 8)
    assert not pictures.requires_grad
    one = decode(training.decoder, codes[3:4], training.settings.precision)
    torch.testing.assert_close(pictures[3:4], one, atol=1e-5, rtol=1e-4)
