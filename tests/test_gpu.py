"""Contract: training, sampling and inversion on a GPU give the results of the CPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import assert_same, at_epoch, at_step, finish, settings, stop, tensors

import glo
from glo.data import Dataset
from glo.inversion import InversionOptions
from glo.runs.run import Run, open_run
from glo.training.loop import train
from glo.training.state import TrainState
from glo.training.statistics import EpochRecord, StepRecord
from glo.utils.device import check_compiler, gains_from_bf16

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

GPU = "cuda"
N = 60
Maker = Callable[..., Dataset]
Begin = Callable[..., TrainState]
# Convolutions use TF32 by default, of 10 bits.
TOLERANCE = 0.02


def epoch_losses(training: TrainState, samples: Dataset) -> list[float]:
    return [r.loss for r in train(training, samples) if isinstance(r, EpochRecord)]


@pytest.fixture
def color() -> Dataset:
    grid = np.linspace(0, 3, 16)
    phases = np.random.default_rng(0).uniform(0, 6, (N, 1, 1, 3))
    waves = np.sin(grid[:, None, None] + grid[:, None] + phases)
    return Dataset(rows=(127.5 * (waves + 1)).astype("uint8"), name="waves")


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"decoder_optimizer": "adam", "code_betas": (0.5, 0.9)},
        {"decoder_optimizer": "sgd", "code_optimizer": "sgd", "decoder_lr": 0.05},
        {"loss": "lap1", "constraint": "sphere"},
        {"ema_decay": 0.9, "project_every": "epoch"},
        {"shuffle_buffer": 16, "init": "gaussian", "constraint": "free"},
    ],
)
def test_losses_of_images(blobs: Maker, begin: Begin, choices: dict[str, Any]) -> None:
    samples = blobs(N)
    expected, found = (
        epoch_losses(begin(samples, batch_size=16, epochs=4, device=device, **choices), samples)
        for device in ("cpu", GPU)
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_losses_of_color_images(color: Dataset, begin: Begin) -> None:
    expected, found = (
        epoch_losses(begin(color, decoder="residual", epochs=4, device=device), color)
        for device in ("cpu", GPU)
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_losses_of_vectors_with_missing_values(begin: Begin) -> None:
    rows = np.random.default_rng(0).normal(size=(N, 6)).astype("float32")
    rows[::3, 1] = np.nan
    samples = Dataset(rows=rows, name="table").standardized()
    expected, found = (
        epoch_losses(begin(samples, decoder="mlp", epochs=4, device=device), samples)
        for device in ("cpu", GPU)
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_a_row_that_is_not_finite(vectors: Maker, begin: Begin) -> None:
    samples = vectors(N)
    counts = []
    for device in ("cpu", GPU):
        training = begin(samples, decoder="mlp", device=device)
        training.codes[7] = float("nan")
        list(train(training, samples))
        assert bool(training.codes.isfinite().all())
        counts.append(training.skipped)
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_precision(blobs: Maker, begin: Begin, precision: str) -> None:
    samples = blobs(N)
    expected = epoch_losses(begin(samples, epochs=6), samples)
    training = begin(samples, epochs=6, device=GPU, precision=precision)
    found = epoch_losses(training, samples)
    assert found[-1] == pytest.approx(expected[-1], rel=0.1)
    assert found[-1] < 0.7 * found[0]
    weights = training.decoder.parameters()
    assert {each.dtype for each in (training.codes, *weights)} == {torch.float32}


def test_auto_is_the_gpu(blobs: Maker, begin: Begin) -> None:
    training = begin(blobs(N), device="auto")
    assert training.device.type == GPU
    assert next(training.decoder.parameters()).device.type == GPU
    assert isinstance(gains_from_bf16(training.device), bool)


def test_compiled(blobs: Maker, begin: Begin) -> None:
    samples = blobs(N)
    check_compiler(torch.device(GPU))
    expected, found = (
        epoch_losses(begin(samples, epochs=4, device=GPU, compile=compile), samples)
        for compile in (False, True)
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_steps_of_one_seed_are_the_same(blobs: Maker, begin: Begin) -> None:
    samples = blobs(N)
    one, two = (
        [r.loss for r in train(begin(samples, device=GPU), samples) if isinstance(r, StepRecord)]
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize("when", [at_step(5), at_epoch(2)])
@pytest.mark.parametrize("precision", ["float32", "auto"])
@pytest.mark.parametrize("save", [True, False])
def test_a_resumed_run_is_the_same(when: Any, precision: Any, save: bool, tmp_path: Path) -> None:
    choices = {"device": GPU, "precision": precision, "checkpoint_seconds": 0.0, "width": 8}
    finish(tmp_path / "whole", **choices)
    stop(tmp_path / "parts", when, save=save, **choices)
    finish(tmp_path / "parts", **choices)
    assert_same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))


def test_a_run_of_the_gpu_goes_on_without_one(tmp_path: Path) -> None:
    choices = {"precision": "float32", "epochs": 2}
    finish(tmp_path / "run", device=GPU, **choices)
    run = open_run(tmp_path / "run")
    assert next(run.decoder.parameters()).device.type == "cpu"
    assert run.codes.device.type == "cpu"
    assert run.reconstruct(np.arange(2)).shape == (2, 1, 8, 8)


@pytest.fixture
def run(blobs: Maker, tmp_path: Path) -> Run:
    choices = vars(settings(epochs=8, device=GPU, precision="float32", prior="gaussian"))
    return glo.train(
        blobs(N), settings=glo.Settings(**choices), run_dir=tmp_path / "run", verbose=0
    )


def test_priors_are_fitted_and_sampled(run: Run) -> None:
    """Priors are fitted and sampled on the CPU; the decoder makes the examples where it is."""
    prior = glo.priors.build_prior("flow-matching", constraint="ball", steps=3, width=8)
    prior.fit(run.codes)
    assert {each.device.type for each in prior.state_dict().values()} == {"cpu"}
    glo.priors.save_prior(prior, run.folder / "prior")
    expected = run.sample(8, seed=1, prior="flow-matching")
    run.decoder.to(GPU)
    found = run.sample(8, seed=1, prior="flow-matching")
    assert found.device.type == "cpu"
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0.0)


@pytest.mark.parametrize(
    "options", [{}, {"prior": "local", "n_solutions": 2}], ids=["search", "local"]
)
def test_inversion(run: Run, blobs: Maker, options: dict[str, Any]) -> None:
    images = blobs(4, seed=1).batch(np.arange(4))
    mask = None
    if options:
        mask = torch.ones(1, 1, 8, 8)
        mask[..., :3] = 0.0
    chosen = InversionOptions(**options)
    expected = glo.invert(run.decoder, images, run.codes, mask=mask, options=chosen)
    found = glo.invert(run.decoder.to(GPU), images, run.codes, mask=mask, options=chosen)
    assert found.codes.device.type == found.reconstructions.device.type == "cpu"
    assert found.residuals.mean() < 1.1 * expected.residuals.mean() + 1e-3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimator(blobs: Maker) -> None:
    images = blobs(N).rows[..., 0]
    model = glo.GLO(code_dim=3, width=4, batch_size=8, epochs=3, prior="gaussian", device=GPU)
    codes = model.fit(images).transform(images[:5])
    assert model.inverse_transform(codes).shape == (5, 8, 8)
    assert np.isfinite(model.score_samples(images[:5])).all()
    assert model.add(images[:2]).forget([0]).codes_.shape == (N + 1, 3)
