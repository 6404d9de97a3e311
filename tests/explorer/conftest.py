"""Tiny runs of every kind that the page can meet, opened as their person does."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.builders import at_step, images, save_data, train, train_until
from tests.explorer.asking import TOKEN, N, browser


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for all runs, and a cache of its own."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="session")
def labelled(rooms: Path) -> Path:
    """A run of images with two labels whose data are still there."""
    labels = np.where(np.arange(N) % 2, "ring", "dot")
    np.savez(rooms / "labelled.npz", x=images(N), y=labels)
    assert train(str(rooms / "labelled.npz"), rooms / "labelled") == 0
    return rooms / "labelled"


@pytest.fixture(scope="session")
def bare(rooms: Path) -> Path:
    """A run of images without labels whose data and errors are gone."""
    data = save_data(rooms / "bare-data")
    assert train(data, rooms / "bare") == 0
    Path(data).unlink()
    (rooms / "bare" / "errors.safetensors").unlink()
    return rooms / "bare"


@pytest.fixture(scope="session")
def single(rooms: Path) -> Path:
    """A run of one example."""
    assert train(save_data(rooms / "single-data", images(1)), rooms / "single") == 0
    return rooms / "single"


@pytest.fixture(scope="session")
def table(rooms: Path) -> Path:
    """A run of vectors of five numbers."""
    rows = np.random.default_rng(0).normal(3.0, 2.0, (N, 5)).astype("float32")
    assert train(save_data(rooms / "table-data", rows), rooms / "table") == 0
    return rooms / "table"


@pytest.fixture(scope="session")
def stopped(rooms: Path) -> Path:
    """A run that was stopped at its fifth step."""
    data = save_data(rooms / "stopped-data")
    with pytest.MonkeyPatch.context() as patch:
        assert train_until(patch, at_step(5), data, rooms / "stopped") == 130
    return rooms / "stopped"


@pytest.fixture(scope="session")
def visit() -> Iterator[Callable[[Path], TestClient]]:
    """Open the page of a run as the person who started it does; once for each run."""
    opened: dict[Path, TestClient] = {}
    with ExitStack() as stack:

        def enter(folder: Path) -> TestClient:
            if folder not in opened:
                client = stack.enter_context(browser(folder))
                assert client.get("/", params={"token": TOKEN}).status_code == 200
                opened[folder] = client
            return opened[folder]

        yield enter
