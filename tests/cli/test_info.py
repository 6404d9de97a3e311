"""`glo info`: words for people, JSON for programs."""

import json
import shutil
from pathlib import Path

import pytest
from tests.builders import contents, flip, summary

from glo.cli.app import run


def test_words(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(made)
    assert run(["info", str(made)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["run"] == str(made)
    assert lines["recipe"].startswith("defaults, with ")
    assert "width 4" in lines["recipe"]
    assert lines["data"].startswith("data: 20 examples of 1 x 8 x 8, from ")
    assert lines["codes"] == "4 numbers each, ball"
    assert lines["state"] == "step 12, finished"
    assert f"mse {summary(made)['mse']:.4f}, mean image" in lines["error"]
    assert "of the variance" in lines["explained"]
    assert "diagnosis" in lines
    assert contents(made) == before


def test_json(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(made), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["summary"] == summary(made)
    assert facts["settings"]["code_dim"] == 4
    assert facts["data"]["shape"] == [1, 8, 8]
    assert (facts["step"], facts["finished"], facts["notes"]) == (12, True, [])


def test_a_run_that_is_not_finished(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(stopped)]) == 0
    output = capsys.readouterr().out
    assert "state        step 5, not finished" in output
    assert "error " not in output
    assert run(["info", str(stopped), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["step"], facts["finished"], facts["summary"]) == (5, False, None)


def test_damage_is_told(tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    flip(copy / "checkpoint" / "final" / "rows-0-of-1.safetensors")
    assert run(["info", str(copy)]) == 0
    output = capsys.readouterr().out
    assert "warning      " in output
    assert "the checkpoint before it is used" in output
    assert "not finished" in output
