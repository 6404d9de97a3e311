"""Progress lines with the time left, and a bar on a terminal."""

import pytest

from glo.cli import progress
from glo.cli.progress import TaskProgress


def test_lines_show_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
    with TaskProgress() as bar:
        for part, done, seconds in (("a", 0, 0), ("a", 1000, 10), ("a", 2000, 30), ("a", 4000, 1)):
            now += seconds
            bar.show(part, done, 4000)
        # The speed of units done before the first call is unknown.
        for done in (500, 1000):
            now += 40
            bar.show("b", done, 2000)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "a: 1,000 of 4,000, 30 s left",
        "a: 2,000 of 4,000, 40 s left",
        "a: 4,000 of 4,000",
        "b: 500 of 2,000",
        "b: 1,000 of 2,000, 1:20 min left",
    ]


def test_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with TaskProgress() as bar:
        bar.show("searching", 1, 2)
        bar.show("searching", 2, 2)
    assert "searching: " not in capsys.readouterr().err
