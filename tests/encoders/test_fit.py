"""Fit of an encoder: errors, determinism, cost."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import DCGAN
from glo.decoders.decode import decode
from glo.encoders import Encoder, corrected_codes, fit_encoder, fit_steps
from glo.losses import MSELoss
from glo.training.state import TrainState

Trained = tuple[TrainState, Dataset]


def fit(trained: Trained, **keywords: Any) -> tuple[Encoder, float]:
    training, samples = trained
    keywords = {"samples": samples, "steps": 60, **keywords}
    shares: list[float] = []
    result = fit_encoder(
        training.final_decoder,
        training.codes,
        settings=training.settings,
        loss=MSELoss(),
        callback=shares.append,
        **keywords,
    )
    assert shares == sorted(shares)
    assert all(0 <= share < 1 for share in shares)
    return result


def every(samples: Dataset) -> Tensor:
    return samples.batch(torch.arange(len(samples)))


@pytest.mark.parametrize("with_data", [True, False])
def test_codes_are_found_again(trained: Trained, with_data: bool) -> None:
    training, samples = trained
    encoder, mse = fit(trained, samples=samples if with_data else None, steps=150)
    found = encoder(every(samples))
    error = (found - training.codes).square().mean()
    assert error < 0.3 * training.codes.var(0, correction=0).mean()
    assert not encoder.training
    assert 0 < mse < 0.5


def test_it_is_deterministic_and_leaves_decoder_and_generator_alone(trained: Trained) -> None:
    training, _ = trained
    before = {k: v.clone() for k, v in training.final_decoder.state_dict().items()}
    random = torch.get_rng_state()
    one, two = fit(trained, steps=5), fit(trained, steps=5)
    assert one[1] == two[1]
    for name, value in one[0].state_dict().items():
        assert torch.equal(value, two[0].state_dict()[name]), name
    for name, value in training.final_decoder.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(random, torch.get_rng_state())


def test_samples_of_a_prior_are_used(trained: Trained) -> None:
    training, _ = trained
    sampled = training.codes.flip(0) * 0.5
    one, two = fit(trained, steps=3), fit(trained, steps=3, sampled=sampled)
    assert not torch.equal(one[0](torch.zeros(1, 1, 8, 8)), two[0](torch.zeros(1, 1, 8, 8)))


def test_corrections_lower_the_loss(trained: Trained) -> None:
    training, samples = trained
    encoder, _ = fit(trained, steps=40)
    x, loss = every(samples), MSELoss()

    def decoder(codes: Tensor) -> Tensor:
        return decode(training.final_decoder, codes, "float32")

    errors = [
        loss(decoder(corrected_codes(encoder, decoder, x, None, loss, steps=k)), x, None)
        for k in range(4)
    ]
    assert torch.equal(corrected_codes(encoder, decoder, x, None, loss, steps=0), encoder(x))
    for before, after in pairwise(errors):
        assert bool((after <= before + 1e-6).all())
    assert errors[3].mean() < 0.95 * errors[0].mean()


def test_the_cost_follows_that_of_training() -> None:
    decoder, encoder = (
        DCGAN(code_dim=8, shape=(1, 16, 16), width=32),
        Encoder(code_dim=8, shape=(1, 16, 16)),
    )
    few, many = (fit_steps(decoder, encoder, Settings(epochs=e), 60_000) for e in (20, 40))
    assert many == pytest.approx(2 * few, abs=1)
    assert fit_steps(decoder, encoder, Settings(epochs=1), 100) == 200
