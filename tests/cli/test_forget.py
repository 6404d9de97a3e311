"""`glo forget`: rows go, by number or by a file of numbers."""

import io
import shutil
from pathlib import Path

import pytest
from tests.builders import contents

from glo.cli.app import run
from glo.runs.run import open_run


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def test_rows_go(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_run(copy).codes
    assert run(["forget", "--yes", str(copy), "3,17-19"]) == 0
    out = capsys.readouterr().out
    assert "Removed 4 rows: 3, 17, 18, 19; the remaining 16" in out
    assert "traces" in out
    (tmp_path / "rows.txt").write_text("# by hand\n0 1\n\nrow:15\n")
    assert run(["forget", "--yes", str(copy), str(tmp_path / "rows.txt"), "--no-refit"]) == 0
    assert "(gaussian, mixture)" in capsys.readouterr().out
    left = [row for row in range(17) if row not in (0, 1, 3)][:-1]
    assert (open_run(copy).codes == before[left]).all()
    assert run(["sample", str(copy), "--n", "2", "--out", str(tmp_path / "two.npy")]) == 0


def test_walks_go_with_their_rows(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["walk", str(copy), "3", "4"]) == 0
    assert list((copy / "walks").iterdir())
    (copy / "mine").mkdir()
    capsys.readouterr()
    assert run(["forget", "--yes", str(copy), "3"]) == 0
    said = capsys.readouterr()
    assert str(copy / "walks") in said.out
    assert not list((copy / "walks").iterdir())
    assert ": mine;" in said.out + said.err


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("20", "Row 20 is not there: the rows are 0 to 19"),
        ("0-19", "These are all 20 rows"),
        ("3;4", "No row is '3;4'"),
        ("none.txt", "no text file 'none.txt'"),
        (",", "No row was named"),
    ],
)
def test_mistakes(rows: str, sentence: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(copy)
    assert run(["forget", "--yes", str(copy), rows]) == 2
    assert sentence in capsys.readouterr().err
    assert contents(copy) == before


def test_nothing_goes_without_a_word(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copy)
    assert run(["forget", str(copy), "3,17-19", "--dry-run"]) == 0
    assert "4 of 20 examples" in capsys.readouterr().out
    # No terminal to ask at.
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run(["forget", str(copy), "3"]) == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for answer, gone in (("n", 0), ("", 0), ("y", 1)):
        assert contents(copy) == before
        monkeypatch.setattr("builtins.input", lambda text, answer=answer: answer)
        assert run(["forget", str(copy), "3"]) == 0
        assert open_run(copy).data.n == 20 - gone
