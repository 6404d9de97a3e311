"""Reporters: every event can be shown, on a pipe and on a terminal."""

import io
import re

import pytest
from rich.console import Console
from tests.builders import finish

from glo.cli import training_progress as module
from glo.cli.training_progress import LiveReporter, PlainReporter, Reporter, make_reporter
from glo.training.events import Event


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    return finish(tmp_path_factory.mktemp("reporter") / "run")


def show(reporter: Reporter, events: list[Event]) -> None:
    for event in events:
        reporter.show(event)
    reporter.close()
    reporter.close()


def test_lines_for_a_pipe(events: list[Event], capsys: pytest.CaptureFixture[str]) -> None:
    show(PlainReporter(), events)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("20 examples, ")
    assert "12 steps, 4 epochs. To beat: mean image 0." in lines[0]
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 4
    for number, line in enumerate(epochs, 1):
        form = (
            rf"epoch {number}/4  mse \d\.\d{{4}}  explains -?[\d.]+ %  [\d,]+ images/s  \S+ s left"
        )
        assert re.fullmatch(form, line), line
    assert epochs[-1].endswith(" 0 s left")
    assert "  polished 20 of 20 codes" in lines


def test_long_silence_is_broken(
    events: list[Event], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_LINE_SECONDS", -1.0)
    show(PlainReporter(), events)
    output = capsys.readouterr().out
    for step in range(1, 13):
        assert f"  step {step}/12  loss " in output


def test_a_bar_for_a_terminal(events: list[Event]) -> None:
    screen = io.StringIO()
    show(LiveReporter(Console(file=screen, force_terminal=True, width=100)), events)
    text = screen.getvalue()
    assert "epoch 4/4" in text
    assert "fitting the mixture prior" in text
    assert "12 steps, 4 epochs" in text


def test_names_are_not_markup() -> None:
    screen = io.StringIO()
    live = LiveReporter(Console(file=screen, force_terminal=True, width=100))
    live.line("Warning: [bold]x[/nonsense].png")
    live.close()
    assert "[bold]x[/nonsense].png" in screen.getvalue()


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(make_reporter(), PlainReporter)
