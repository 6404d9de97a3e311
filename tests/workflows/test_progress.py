"""Progress of a run on a pipe and on a terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from tests.builders import session

from glo.training.callbacks import Message
from glo.workflows import progress as module
from glo.workflows.progress import ProgressBar


def train(folder: Path, bar: ProgressBar) -> None:
    training = session(folder, None, bar)
    training.fit()
    training.close()


def test_lines_for_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "run", ProgressBar())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("20 examples, ")
    assert "12 steps, 4 epochs. Baselines: mean image 0." in lines[0]
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 4
    for number, line in enumerate(epochs, 1):
        numbers = r"mse \d\.\d{4}  explains -?[\d.]+ %  [\d,]+ images/s  \S+ (?:s|min) left"
        assert re.fullmatch(f"epoch {number}/4  {numbers}", line), line
    assert epochs[-1].endswith(" 0 s left")
    assert "  refining codes: 20 of 20" in lines


def test_long_silence_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_LINE_SECONDS", -1.0)
    train(tmp_path / "run", ProgressBar())
    assert capsys.readouterr().out.count(": loss ") == 12


def test_a_bar_for_a_terminal(tmp_path: Path) -> None:
    screen = io.StringIO()
    bar = ProgressBar(Console(file=screen, force_terminal=True, width=100))
    train(tmp_path / "run", bar)
    for text in ("epoch 4/4", "fitting the mixture prior", "12 steps, 4 epochs"):
        assert text in screen.getvalue()


def test_names_are_not_markup() -> None:
    screen = io.StringIO()
    bar = ProgressBar(Console(file=screen, force_terminal=True, width=100))
    bar.on_message(None, Message(text="[bold]x[/nonsense].png", warning=True))
    bar.on_train_end(None)
    assert "Warning: [bold]x[/nonsense].png" in screen.getvalue()
