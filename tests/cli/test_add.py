"""`glo add`: examples come to a finished run, or nothing is changed."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from tests.builders import contents, images, save_data

from glo.cli import progress
from glo.cli.app import run
from glo.runs.run import open_run


@pytest.fixture
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(made, tmp_path / "run")


def test_rows_come_once(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = save_data(tmp_path, images(3, seed=4))
    before = open_run(copy).codes
    assert run(["add", str(copy), more]) == 0
    said = capsys.readouterr()
    assert "Added 3 rows, 20 to 22: mse " in said.out
    assert "searching codes: 3 of 3" in said.err
    assert "fitting the mixture prior, %: 100 of 100" in said.err
    now = open_run(copy)
    assert (now.codes[:20] == before).all()
    assert now.data.changes[0].source == more
    assert run(["add", str(copy), more]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert open_run(copy).data == now.data
    assert run(["add", str(copy), more, "--limit", "2", "--keep-priors"]) == 0
    assert "fitting" not in capsys.readouterr().err
    assert open_run(copy).data.n == 25
    assert run(["sample", str(copy), "--n", "2", "--out", str(tmp_path / "two.npy")]) == 0
    assert run(["info", str(copy)]) == 0
    assert "3 added, 2 added" in capsys.readouterr().out


def test_a_signal_changes_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, more = contents(copy), save_data(tmp_path, images(3, seed=4))
    show = progress.TaskProgress.show

    def stopping(self: progress.TaskProgress, part: str, done: int, total: int) -> None:
        show(self, part, done, total)
        if part.startswith("fitting"):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(progress.TaskProgress, "show", stopping)
    assert run(["add", str(copy), more]) == 130
    assert "stopped; nothing was changed" in capsys.readouterr().err
    assert contents(copy) == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{run}"], "No FILES were given"),
        (["{run}", "{wrong}"], "was trained on images of 1 x 8 x 8"),
    ],
)
def test_mistakes(
    words: list[str],
    sentence: str,
    copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = save_data(tmp_path, np.zeros((3, 5)), name="wrong.npy")
    before = contents(copy)
    words = [word.format(run=copy, wrong=wrong) for word in words]
    assert run(["add", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert contents(copy) == before
