"""Runs that earlier versions made still open, sample, go on and change as they did then."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.fixtures.make_runs import images, recipe

from glo.data import Dataset
from glo.estimator.estimator import load
from glo.runs.run import open_run
from glo.workflows.edit_rows import forget_rows
from glo.workflows.train import TrainingRun

FOLDERS = sorted((Path(__file__).parent / "fixtures").glob("run-format-*"))
# Products are summed in another order elsewhere; float32 keeps seven digits of each.
NEAR = {"rtol": 1e-3, "atol": 1e-4}

each_format = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
each_run = pytest.mark.parametrize("name", ["images", "vectors"])


def copied(folder: Path, name: str, to: Path) -> Path:
    return Path(shutil.copytree(folder / name, to / name))


def go_on(folder: Path, samples: Dataset) -> None:
    sitting = TrainingRun(folder, samples, recipe(), source="made", preset="mnist")
    try:
        for _ in sitting.events():
            pass
    finally:
        sitting.close()


def test_there_is_a_folder_for_the_first_format() -> None:
    assert FOLDERS[0].name == "run-format-1"


@each_format
@each_run
def test_it_holds_what_it_held(folder: Path, name: str, tmp_path: Path) -> None:
    run = open_run(copied(folder, name, tmp_path))
    wanted = load_file(folder / f"{name}.safetensors")
    assert run.settings == recipe()
    assert run.data.n == 24
    assert run.checkpoint.finished
    assert not run.checkpoint.notes
    assert run.summary is not None
    assert run.errors is not None
    # Read, not computed: the same bits everywhere.
    assert torch.equal(run.codes, wanted["codes"])
    assert torch.equal(run.errors, wanted["errors"])


@each_format
@each_run
def test_it_makes_what_it_made(folder: Path, name: str, tmp_path: Path) -> None:
    run = open_run(copied(folder, name, tmp_path))
    wanted = load_file(folder / f"{name}.safetensors")
    pictures = run.reconstruct(torch.arange(4))
    torch.testing.assert_close(pictures, wanted["reconstructions"], **NEAR)
    assert run.fitted_priors == ("mixture", "gaussian")
    for prior in run.fitted_priors:
        samples = run.sample(4, seed=1, prior=prior)
        torch.testing.assert_close(samples, wanted[f"samples.{prior}"], **NEAR)


@each_format
def test_it_knows_its_labels(folder: Path, tmp_path: Path) -> None:
    run = open_run(copied(folder, "images", tmp_path))
    wanted = load_file(folder / "images.safetensors")
    torch.testing.assert_close(run.sample(4, seed=1, label="low"), wanted["samples.low"], **NEAR)


@each_format
def test_a_run_that_was_stopped_goes_on(folder: Path, tmp_path: Path) -> None:
    stopped = copied(folder, "stopped", tmp_path)
    go_on(stopped, images())
    run = open_run(stopped)
    assert run.checkpoint.finished
    wanted = load_file(folder / "images.safetensors")
    # Eight steps of Muon and Adam magnify what differs in the last bits.
    torch.testing.assert_close(run.codes, wanted["codes"], rtol=0.05, atol=0.02)


@each_format
def test_a_finished_run_is_known_again(folder: Path, tmp_path: Path) -> None:
    finished = copied(folder, "images", tmp_path)
    go_on(finished, images())
    assert torch.equal(open_run(finished).codes, load_file(folder / "images.safetensors")["codes"])


@each_format
def test_its_rows_can_still_be_changed(folder: Path, tmp_path: Path) -> None:
    changed = copied(folder, "images", tmp_path)
    before = open_run(changed).codes
    for _ in forget_rows(changed, torch.tensor([0, 5])):
        pass
    kept = [row for row in range(24) if row not in (0, 5)]
    assert torch.equal(open_run(changed).codes, before[kept])


@each_format
def test_it_opens_as_an_estimator(folder: Path, tmp_path: Path) -> None:
    model = load(copied(folder, "vectors", tmp_path))
    wanted = load_file(folder / "vectors.safetensors")
    made = model.inverse_transform(model.codes_[:4])
    np.testing.assert_allclose(made, wanted["reconstructions"], **NEAR)
