"""`glo report`, and the page that `glo train` leaves behind."""

from pathlib import Path

import pytest
from tests.builders import contents, save_data, train

from glo.cli.app import run


def test_a_page_of_a_run_whose_data_are_gone(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = contents(made), tmp_path / "page.html"
    assert run(["report", str(made), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"Report: {out}\n"
    assert "cannot be opened" in out.read_text("utf-8")
    assert contents(made) == before


def test_mistakes(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        ([str(made), "--out", "page.pdf"], "--out is page.pdf; it must be a file that ends in"),
        ([str(made), str(tmp_path / "no.npy")], "There is no file or folder"),
    ):
        assert run(["report", *words]) == 2
        assert said in capsys.readouterr().err


def test_training_ends_with_a_page_and_makes_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    data, out = save_data(tmp_path), tmp_path / "run"
    assert train(data, out) == 0
    page = out / "report.html"
    assert f"Report: {page}\n" in capsys.readouterr().out
    assert "from best to worst" in page.read_text("utf-8")
    before = contents(out)
    assert train(data, out) == 0
    assert contents(out) == before
    assert "Report:" not in capsys.readouterr().out
    assert run(["report", str(out)]) == 0
    assert contents(out) == before, "the same run gives the same page"


def test_a_section_that_fails_is_named(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ValueError("no fonts")

    monkeypatch.setattr("glo.report.build.curves_section", fail)
    with pytest.warns(RuntimeWarning, match="'Training' of the report.*ValueError: no fonts"):
        assert run(["report", str(made), "--out", str(tmp_path / "page.html")]) == 0
    assert "ValueError: no fonts" in (tmp_path / "page.html").read_text("utf-8")


def test_a_page_that_fails_does_not_lose_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no fonts")

    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("glo.report.write_report", fail)
    out = tmp_path / "run"
    assert train(save_data(tmp_path), out) == 0
    assert "Warning: report.html was not written (RuntimeError: no fonts)" in (
        capsys.readouterr().out
    )
    assert (out / "summary.json").is_file()
    assert not (out / "report.html").exists()
