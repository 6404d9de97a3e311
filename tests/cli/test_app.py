"""The program as a whole: help, mistakes and exit codes.

The help is compared with tests/cli/golden. After a change that is meant, renew them and read the
difference:

    GLO_RENEW=1 python -m pytest tests/cli/test_app.py -k golden
    git diff tests/cli/golden
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.builders import ROOT

from glo.cli import app as module
from glo.cli.app import run
from glo.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
VERBS = [
    "glo", "train", "sample", "evaluate", "encode", "restore", "walk", "explore", "report",
    "export", "add", "forget", "info",
]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_golden_help(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert run(["--help"] if verb == "glo" else [verb, "--help"]) == 0
    text = "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())
    path = GOLDEN / f"{verb}.txt"
    if os.environ.get("GLO_RENEW"):
        path.write_text(text, "utf-8")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert text == path.read_text("utf-8"), "see the first lines of this file"


def test_every_verb_is_golden() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {"glo", *module._VERBS}
    assert sorted(VERBS[1:]) == sorted(module._VERBS)


def test_help_and_mistakes_do_not_wait_for_torch() -> None:
    code = (
        "import sys; from glo.cli.app import run\n"
        "for words in (['--help'], ['train', '--help'], ['sample', '--help'], ['info', '--help'],"
        " ['encode', '--help'], ['restore', '--help'], ['walk', '--help'], ['trian'],"
        " ['train', '--epohcs', '3'],"
        " ['train', '--dry-run'], ['--version']):\n"
        "    run(words); assert 'torch' not in sys.modules, words\n"
        "    assert 'numpy' not in sys.modules, words\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    nothing = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == nothing


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["trian"], f"there are {', '.join(VERBS[1:])}. Did you mean 'train'?"),
        (["fly"], f"There is no command 'fly'; there are {', '.join(VERBS[1:])}."),
        (["--nonsense"], "--nonsense"),
        (["sample"], "RUN requires an argument. See glo sample --help."),
        (["info", "a", "b"], "'b' is more than the command takes"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("glo: ")
    assert captured.err.count("\n") == 1
    assert part in captured.err


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "app", fail)


@pytest.mark.parametrize("number", sorted(module._OS_ERRORS))
def test_what_the_system_refuses_is_told(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, OSError(number, os.strerror(number), "runs/x"))
    assert run(["train"]) == 2
    assert capsys.readouterr().err == f"glo: runs/x {module._OS_ERRORS[number]}\n"
    failing(monkeypatch, OSError(number, os.strerror(number)))
    assert run(["train"]) == 2
    assert capsys.readouterr().err.startswith("glo: The run folder ")


def test_mistakes_and_interrupts_have_their_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, UserError("Say it."))
    assert run(["train"]) == 2
    assert capsys.readouterr().err == "glo: Say it.\n"
    failing(monkeypatch, KeyboardInterrupt())
    assert run(["train"]) == 130
    assert capsys.readouterr().err == "glo: interrupted.\n"


def test_an_interrupt_of_a_verb_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glo.cli.train.merge", interrupted)
    assert run(["train"]) == 130
    assert capsys.readouterr().err == "glo: interrupted.\n"


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), OSError(errno.ECHILD, "ours")])
def test_our_own_faults_are_not_hidden(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, error)
    with pytest.raises(type(error), match="ours"):
        run(["train"])
