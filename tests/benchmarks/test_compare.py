"""The comparison at equal seconds: a tiny study, its tables, and the parts of its methods."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.compare import data_efficiency, samplers, study
from benchmarks.compare import problem as problems
from benchmarks.compare.autoencoders import KINDS, learn_autoencoder
from benchmarks.compare.dgd import CodeMixture, MixtureRowAdam
from benchmarks.compare.methods import METHODS
from benchmarks.compare.pixel_flow import PixelFlow
from benchmarks.compare.problem import Problem
from benchmarks.compare.report import write_reports
from benchmarks.compare.samplers import reserved_seconds
from benchmarks.compare.study import make_rows
from torch.nn.functional import mse_loss

from glo.data import Dataset
from glo.latents.table import LatentCodes
from glo.priors import build_prior


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Problem:
    draws = np.random.default_rng(0)
    shades = draws.integers(0, 256, (60, 2, 2, 1), dtype=np.uint8)
    images = shades.repeat(16, 1).repeat(16, 2)
    parts = {
        "train": Dataset(rows=images[:40], name="squares"),
        "test": Dataset(rows=images[40:], name="squares"),
    }
    monkeypatch.setattr(problems, "_open", lambda data, split: parts[split])
    # A step of the full decoder, which is slow.
    for module in (study, samplers):
        monkeypatch.setattr(module, "pace", lambda: 1.0)
    return Problem(
        data="mnist",
        root=tmp_path,
        seconds=1.0,
        n_samples=30,
        n_heldout=4,
        width=4,
        code_dim=3,
        batch=20,
    )


def small_flow(problem: Problem, name: str) -> dict[str, Any]:
    config = build_prior(name).config
    return config | ({"steps": 20, "batch_size": 64, "width": 8} if "steps" in config else {})


PLAN = {
    "glo": ("mixture-2", "flow-matching"),
    "vae-sigma": ("normal",),
    "dgd": ("joint",),
    "pca": ("mixture-2",),
    "pixel-flow": ("normal",),
}


def test_every_row_has_a_line_and_a_second_time_is_free(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(samplers, "_config", small_flow)
    make_rows(problem, PLAN)
    assert "Traceback" not in capsys.readouterr().err
    make_rows(problem, PLAN)
    assert not capsys.readouterr().out

    rows = {path.stem: json.loads(path.read_text()) for path in problem.folder.glob("rows/*.json")}
    assert len(rows) == 1 + 5 + 6
    assert rows["pca"]["encoder_mse"] > rows["pca"]["train_mse"]
    assert rows["vae-sigma"].keys() >= {"encoder_mse", "search_mse"}
    assert "encoder_mse" not in rows["glo"]
    assert "train_mse" not in rows["pixel-flow"]
    assert rows["training-images"]["memorisation"]["samples_distance"] == 0.0

    (path,) = write_reports(problem.root)
    text = path.read_text()
    assert "| DGD-style, joint | 1 |" in text
    assert "Not made: GLO (mixture-10, mixture-100, gaussian); autoencoder, our optimizer (" in text
    assert {file.name for file in path.parent.glob("*.png")} == {"samples-1.png", "heldout-1.png"}


@pytest.mark.slow
def test_the_curve_has_a_line_for_each_number_of_images(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (12, 40):
        data_efficiency._make(Problem(**(vars(problem) | {"n": n})))
    (path,) = data_efficiency._write_figures(problem.root)
    table = (path.parent / "data-efficiency-1.md").read_text()
    assert path.is_file()
    assert [line.split(" | ")[:2] for line in table.splitlines()[4:]] == [
        [f"| {n}", METHODS[model].about] for n in (12, 40) for model in ("glo", "ae-ours", "pca")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_autoencoders_learn_and_leave_their_sampler_time(problem: Problem, kind: str) -> None:
    model = learn_autoencoder(Problem(**(vars(problem) | {"seconds": 3.0})), kind, reserved=1.0)
    assert model.codes.shape == (40, 3)
    assert model.training["cpu"] < 3.0
    images = problem.train.batch(torch.arange(40))
    assert torch.equal(model.encode(images), model.codes)
    assert mse_loss(model.decode(model.codes), images) < 0.9 * images.square().mean()


def test_the_mixture_of_codes_has_the_density_of_its_prior() -> None:
    torch.manual_seed(0)
    mixture = CodeMixture(torch.randn(7, 3), seed=0)
    with torch.no_grad():
        mixture.log_variances += torch.rand(7, 3)
        mixture.logits += torch.rand(7)
    codes = torch.randn(5, 3)
    expected = mixture.prior().log_prob(codes)
    constant = 1.5 * math.log(2 * math.pi)
    assert torch.allclose(mixture.log_prob(codes).double() - constant, expected, atol=1e-4)


def test_codes_move_towards_the_mixture_without_a_loss() -> None:
    torch.manual_seed(0)
    codes = LatentCodes(torch.randn(6, 2), constraint="free")
    mixture = CodeMixture(torch.zeros(1, 2), seed=0)
    optimizer = MixtureRowAdam(codes, mixture, width=4, lr=0.1, betas=(0.0, 0.9))
    before, rows = codes.weight.detach().norm(dim=1), torch.tensor([1, 4])
    (0.0 * codes(rows)).sum().backward()
    optimizer.step()
    moved = codes.weight.detach().norm(dim=1) - before
    assert bool((moved[rows] < -0.05).all())
    assert moved.count_nonzero() == 2


def test_a_fit_is_cut_to_the_time_left(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "_cost", lambda problem, name: (2.0, 8.0))
    whole = samplers._config(problem, "flow-matching")
    prior, notes = samplers._affordable(problem, "flow-matching", 10.0)
    assert (prior.config, notes) == (whole, ())
    prior, notes = samplers._affordable(problem, "flow-matching", 6.0)
    assert prior.config["steps"] == int(whole["steps"] * (0.95 * 6 - 2) / 8)
    assert len(notes) == 1
    prior, notes = samplers._affordable(problem, "flow-matching", 3.0)
    assert prior.config["components"] == 1
    assert len(notes) == 2
    assert reserved_seconds(problem, ("mixture-10", "flow-matching")) == pytest.approx(1 / 3)
    assert reserved_seconds(problem, ("normal", "mixture-10")) == 0.0


def test_flow_on_pixels_makes_images_and_trains_all_weights() -> None:
    torch.manual_seed(0)
    flow = PixelFlow((1, 32, 32))
    images = flow(torch.randn(2, 1024))
    assert images.shape == (2, 1, 32, 32)
    assert images.abs().max() <= 1.0
    flow.velocity(images.detach(), torch.tensor([0.1, 0.9])).square().mean().backward()
    assert all(weight.grad is not None for weight in flow.parameters())
