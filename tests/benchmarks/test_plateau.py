"""The study of the plateau: a tiny run through two cells, its files, and its report."""

import fcntl
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.plateau.cell import CODE_RATE, Cell
from benchmarks.plateau.cells import CELLS, find_cells
from benchmarks.plateau.dense import DenseAdam
from benchmarks.plateau.make import adopt_cell
from benchmarks.plateau.problem import Problem, baselines
from benchmarks.plateau.report import write_report
from benchmarks.plateau.study import run_study
from tests.builders import finish

from glo.config.presets import find_preset
from glo.config.settings import Settings
from glo.data import Dataset
from glo.errors import UserError
from glo.latents.table import LatentCodes

TINY = "gaussian-d100-c5120"


def digits(n: int, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (n, 32, 32, 1), dtype=np.uint8)
    return Dataset(rows=rows, labels=rng.integers(0, 3, n), name="noise")


@pytest.fixture
def problem() -> Problem:
    return Problem(train=digits(24), test=digits(6, seed=1), unseen=5, epochs=1)


def tiny(**changes: object) -> Cell:
    known = {cell.name: cell for cell in CELLS}[TINY]
    return Cell(**(vars(known) | {"divide": 16} | changes))


def test_two_cells_and_the_report(tmp_path: Path, problem: Problem) -> None:
    small = {"code_dim": 3, "batch_size": 12}
    one = tiny(changes={**tiny().changes, **small})
    two = tiny(name="theirs-shuffle", dense=True, changes={**small, "shuffle": True})
    cells = [one, two]
    assert run_study(tmp_path, problem, cells) == 2
    found = json.loads((tmp_path / "cells" / f"{TINY}.json").read_text())
    assert found["n"] == 24
    assert found["steps"] == 2
    assert 0.0 < found["train"] < 2.0
    assert 0.0 < found["unseen"] < 2.0
    assert len(found["epochs"]) == 1
    assert run_study(tmp_path, problem, cells) == 0

    write_report(tmp_path)
    assert TINY in (tmp_path / "table.md").read_text()
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert [row["name"] for row in rows] == [TINY, "theirs-shuffle"]
    assert (tmp_path / "docs" / "images" / "plateau-grid.png").is_file()
    assert "{{" not in (tmp_path / "docs" / "plateau.md").read_text()


def test_a_cell_that_another_process_makes_is_left_alone(
    tmp_path: Path, problem: Problem, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "models" / f"{TINY}.lock"
    lock.parent.mkdir()
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run_study(tmp_path, problem, [tiny()]) == 0
    assert not capsys.readouterr().out


def test_a_run_with_other_settings_is_not_adopted(tmp_path: Path, problem: Problem) -> None:
    data = digits(24)
    finish(tmp_path / "run", data, epochs=1, refine_passes=0)
    with pytest.raises(UserError, match="code_lr"):
        adopt_cell(tiny(), problem, tmp_path / "run")


def test_a_folder_belongs_to_one_study(tmp_path: Path, problem: Problem) -> None:
    run_study(tmp_path, problem, [])
    other = Problem(train=problem.train, test=problem.test, unseen=4, epochs=1)
    with pytest.raises(SystemExit, match="unseen"):
        run_study(tmp_path, other, [])


def test_baselines_are_means_over_what_was_fitted(problem: Problem) -> None:
    found = baselines(problem, (24,))["24"]
    images = problem.train.batch(torch.arange(24)).flatten(1)
    assert found["mean_image"]["train"] == pytest.approx(
        float((images - images.mean(0)).square().mean()), rel=1e-5
    )
    assert found["pca"]["8"]["train"] < found["class_mean"]["train"] < found["mean_image"]["train"]


def test_every_cell_has_settings_and_a_name_of_its_own() -> None:
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    assert all(isinstance(cell.settings(cell.n), Settings) for cell in CELLS)
    assert [cell.name for cell in find_cells(["replay"])] == ["replay"]


def test_the_replica_makes_their_updates_at_their_rates() -> None:
    preset = find_preset("tensorlayer-baseline").settings
    replica = {cell.name: cell for cell in CELLS}["gaussian-d1-c1"].settings(4000)
    assert replica.epochs == preset["epochs"]
    assert replica.steps_per_epoch(4000) == 100
    assert replica.decoder_lr == preset["decoder_lr"]
    assert replica.code_lr == CODE_RATE == preset["code_lr"] / preset["batch_size"]
    assert (replica.shuffle, replica.project_every, replica.code_grad_reduction) == (
        False,
        "epoch",
        "row",
    )


def test_dense_adam_is_torchs_adam_on_one_tensor() -> None:
    torch.manual_seed(0)
    start = torch.randn(5, 2) * 0.3
    codes = LatentCodes(start, constraint="free")
    dense = DenseAdam(codes, (0.9, 0.999))
    dense.param_groups[0]["lr"] = 0.1
    theirs = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.999))
    for rows in torch.tensor([[0, 1], [2, 4], [1, 3]]):
        gradient = torch.randn(2, 2)
        theirs.grad = torch.zeros(5, 2).index_copy(0, rows, gradient)
        dense.zero_grad()
        codes(rows, grad_scale=1.0).backward(gradient)
        dense.step()
        optimizer.step()
        assert torch.allclose(codes.weight, theirs, atol=1e-6)
