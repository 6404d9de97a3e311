"""The program as a whole: help, errors and exit codes.

The help is compared with tests/cli/golden. After an intended change, renew the files and read the
difference:

    GLO_RENEW=1 python -m pytest tests/cli/test_app.py -k golden
    git diff tests/cli/golden
"""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from tests.builders import ROOT
from tests.cli.conftest import Refuse

from glo.cli.app import main, run
from glo.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
VERBS = [
    "train", "sample", "evaluate", "encode", "restore", "walk", "explore", "report", "export",
    "add", "forget", "info",
]  # fmt: skip


@pytest.mark.parametrize("verb", ["glo", *VERBS])
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


def test_every_golden_file_is_of_a_verb() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {"glo", *VERBS}


def test_help_and_usage_errors_do_not_import_torch() -> None:
    code = (
        "import sys; from glo.cli.app import run\n"
        f"helps = [[verb, '--help'] for verb in {VERBS}]\n"
        "for words in (*helps, ['--help'], ['trian'], ['train', '--epohcs', '3'],"
        " ['train', '--dry-run'], ['--version']):\n"
        "    run(words); assert not {'torch', 'numpy'} & sys.modules.keys(), words\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_words_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    output = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == output


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ["'trian'", ", ".join(VERBS), "Did you mean 'train'?"]),
        (["fly"], ["'fly'", ", ".join(VERBS)]),
        (["--nonsense"], ["--nonsense"]),
        (["train"], ["glo train mnist", "glo train --help"]),
        (["encode", "no/such"], ["no/such", "not a run folder"]),
        (["train", "no-such.npy"], ["no-such.npy"]),
        (["sample"], ["RUN requires an argument", "glo sample --help"]),
        (["info", "a", "b"], ["'b' is more than the command takes"]),
    ],
    ids=" ".join,
)
def test_usage_errors(words: list[str], parts: list[str], refuse: Refuse) -> None:
    refuse(words, *parts)


def fail_with(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, place: str = "glo.cli.app._check_paths"
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(place, fail)


@pytest.mark.parametrize(
    "name",
    [
        *("ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS"),
        *("ENOTDIR", "EEXIST", "EISDIR", "ENAMETOOLONG", "EFBIG"),
    ],
)
def test_errors_of_the_system(name: str, monkeypatch: pytest.MonkeyPatch, refuse: Refuse) -> None:
    number = getattr(errno, name)
    fail_with(monkeypatch, OSError(number, os.strerror(number), "runs/x"))
    refuse(["train", "mnist"], "glo: runs/x ")
    fail_with(monkeypatch, OSError(number, os.strerror(number)))
    refuse(["train", "mnist"], "glo: The run folder ")


def test_user_errors_and_interrupts(
    monkeypatch: pytest.MonkeyPatch, refuse: Refuse, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, UserError("Say it."))
    assert refuse(["train", "mnist"]) == "glo: Say it.\n"
    monkeypatch.undo()
    fail_with(monkeypatch, KeyboardInterrupt(), "glo.cli.train.merge")
    assert run(["train", "mnist"]) == 130
    assert capsys.readouterr().err == "glo: interrupted.\n"


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), OSError(errno.ECHILD, "ours")])
def test_internal_errors_are_raised(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, error)
    with pytest.raises(type(error), match="ours"):
        run(["train", "mnist"])


def test_warnings_of_libraries_are_one_line_without_a_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr("glo.cli.app.tune_malloc", lambda: None)
    monkeypatch.setattr("sys.argv", ["glo", "--version"])
    with pytest.raises(SystemExit):
        main()
    text = warnings.formatwarning(UserWarning("It is\n  odd."), UserWarning, "/a/b.py", 3)
    assert text == "Warning: It is odd.\n"


def test_mistakes_in_paths_are_found_without_torch(made: Path) -> None:
    script = (
        "import sys; from glo.cli.app import run; run(sys.argv[1:]); print('torch' in sys.modules)"
    )
    for words in (["encode", "no/such", "x.png"], ["train", "no.npy"], ["add", made, "no.png"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, words)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == "False\n"
        assert done.stderr.startswith("glo: ")
