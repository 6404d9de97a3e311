"""Progress of a part of the work: lines with the time left, and not too many of them."""

import pytest

from glo.cli import progress


def test_lines_tell_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
    reporter = progress.PartReporter()
    for part, done, later in (("a", 0, 0), ("a", 1000, 10), ("a", 2000, 30), ("a", 4000, 1)):
        now += later
        reporter.show(part, done, 4000)
    # A part that was begun unseen has no speed yet.
    now += 40
    reporter.show("b", 500, 2000)
    now += 40
    reporter.show("b", 1000, 2000)
    reporter.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "a: 2,000 of 4,000, 40 s left",
        "a: 4,000 of 4,000",
        "b: 500 of 2,000",
        "b: 1,000 of 2,000, 1:20 min left",
    ]


def test_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    reporter = progress.PartReporter()
    reporter.show("searching", 1, 2)
    reporter.show("searching", 2, 2)
    reporter.close()
    assert "searching: " not in capsys.readouterr().err
