"""One finished run that the commands' tests look at, and one that was stopped."""

from pathlib import Path

import pytest
from tests.builders import at_step, save_data, train, train_until


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
