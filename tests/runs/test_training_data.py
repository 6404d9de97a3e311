"""Training data of a run that is opened from elsewhere, or has moved with them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.builders import images, train

from glo.errors import UserError
from glo.runs.run import open_run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, and a run that was told their relative path."""
    folder = tmp_path / "place"
    (folder / "data").mkdir(parents=True)
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder)
    np.save("data/x.npy", images())
    assert train("data/x.npy", Path("runs/a")) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def test_a_relative_path_is_found_from_another_folder(place: Path) -> None:
    assert open_run(place / "runs/a").data.source == "data/x.npy"
    # Other data of the same relative path are not taken for them.
    Path("data").mkdir()
    np.save("data/x.npy", images(seed=1))
    assert len(open_run(place / "runs/a").open_data(command="")) == 20


def test_data_that_moved_with_the_run_are_found(place: Path) -> None:
    moved = shutil.move(place, place.with_name("moved"))
    assert len(open_run(Path(moved, "runs/a")).open_data(command="")) == 20
    shutil.rmtree(Path(moved, "data"))
    with pytest.raises(UserError, match=r"data/x\.npy"):
        open_run(Path(moved, "runs/a")).open_data(command="")
