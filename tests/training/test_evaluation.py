"""Batch norm of the final decoder, and errors of all rows."""

from collections.abc import Callable

import pytest
import torch

from glo.data import Dataset
from glo.decoders.decode import decode
from glo.losses import MSELoss
from glo.training.evaluation import evaluate, recompute_batchnorm_stats, squared_errors
from glo.training.loop import train
from glo.training.state import TrainState

Maker = Callable[..., Dataset]
Begin = Callable[..., TrainState]


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
    monkeypatch.setattr("glo.training.evaluation._BATCH", 7)
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
