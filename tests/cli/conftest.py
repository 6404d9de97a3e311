"""Working folders, a finished and a stopped run, and a check of refused commands."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.builders import at_step, contents, save_data, train, train_until

from glo.cli.app import run

Refuse = Callable[..., str]


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder and cache of a test, and a terminal of 80 columns."""
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run a command that must fail with exit code 2 and one sentence with `parts`; return it."""

    def check(words: Sequence[str], *parts: str) -> str:
        capsys.readouterr()
        assert run(words) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("glo: ")
        assert captured.err.count("\n") == 1
        for part in parts:
            assert part in captured.err
        return captured.err

    return check


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose data are gone."""
    folder = tmp_path_factory.mktemp("made")
    data = save_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        assert train(data, folder / "run") == 0
    Path(data).unlink()
    return folder / "run"


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped at its fifth step."""
    folder = tmp_path_factory.mktemp("stopped")
    data = save_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        assert train_until(patch, at_step(5), data, folder / "run") == 130
    return folder / "run"


@pytest.fixture
def refuse_unchanged(workdir: Path, refuse: Refuse) -> Refuse:
    """Run a command as `refuse` does, and check that it writes no file."""

    def files() -> dict[str, bytes]:
        return {n: b for n, b in contents(workdir).items() if not n.startswith("cache")}

    def check(words: Sequence[str], *parts: str) -> str:
        before = files()
        message = refuse(words, *parts)
        assert files() == before
        return message

    return check
