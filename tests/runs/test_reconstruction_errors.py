"""Errors of the rows: what was written comes back, and nothing that does not fit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.builders import cut, finish, samples

from glo.runs.reconstruction_errors import read_errors, write_errors
from glo.runs.run import open_run
from glo.training.evaluation import squared_errors

ERRORS = torch.tensor([0.5, 0.25, 0.125])


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    path = write_errors(tmp_path, ERRORS)
    found = read_errors(tmp_path, 3)
    assert found is not None
    assert torch.equal(found, ERRORS)
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"


@pytest.mark.parametrize("n", [2, 4])
def test_errors_of_another_number_of_rows_are_absent(tmp_path: Path, n: int) -> None:
    write_errors(tmp_path, ERRORS)
    assert read_errors(tmp_path, n) is None


def test_a_damaged_or_foreign_file_is_absent(tmp_path: Path) -> None:
    path = write_errors(tmp_path, ERRORS)
    cut(path)
    assert read_errors(tmp_path, 3) is None
    save_file({"other": ERRORS}, path)
    assert read_errors(tmp_path, 3) is None
    save_file({"errors": ERRORS.double()}, path)
    assert read_errors(tmp_path, 3) is None


def test_a_finished_run_keeps_the_errors_of_its_rows(tmp_path: Path) -> None:
    finish(tmp_path / "run", epochs=1)
    run, data = open_run(tmp_path / "run"), samples()
    assert run.errors is not None
    assert torch.equal(run.errors, squared_errors(run.decoder, run.codes, data, run.settings))
    assert run.summary is not None
    assert float(run.errors.double().mean()) == run.summary["mse"]
