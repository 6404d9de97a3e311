"""Tiny runs of every kind, and clients with the token of their pages."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.builders import at_step, images, save_data, train, train_until
from tests.explorer.client import TOKEN, N, Visit, client_of


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of all runs, with a cache of its own."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="session")
def labelled(folder: Path) -> Path:
    """Run of images with two labels whose data are available; the odd examples are rings."""
    labels = np.where(np.arange(N) % 2, "ring", "dot")
    np.savez(folder / "labelled.npz", x=images(N), y=labels)
    assert train(str(folder / "labelled.npz"), folder / "labelled") == 0
    return folder / "labelled"


@pytest.fixture(scope="session")
def named(folder: Path) -> Path:
    """Run of images in files, of which the fourth cannot be read."""
    (folder / "files").mkdir()
    for i, pixels in enumerate(images(8)):
        Image.fromarray(pixels).save(folder / f"files/person{i}.png")
    (folder / "files/person3.png").write_bytes(b"no picture")
    assert train(str(folder / "files"), folder / "named") == 0
    return folder / "named"


@pytest.fixture(scope="session")
def bare(folder: Path) -> Path:
    """Run of images without labels, data and errors."""
    data = save_data(folder / "bare-data")
    assert train(data, folder / "bare") == 0
    Path(data).unlink()
    (folder / "bare" / "errors.safetensors").unlink()
    return folder / "bare"


@pytest.fixture(scope="session")
def amortized(folder: Path) -> Path:
    """Run of images with an encoder."""
    data = save_data(folder / "amortized-data")
    assert train(data, folder / "amortized", "--encoder", "on") == 0
    return folder / "amortized"


@pytest.fixture(scope="session")
def single(folder: Path) -> Path:
    """Run of one example."""
    assert train(save_data(folder / "single-data", images(1)), folder / "single") == 0
    return folder / "single"


@pytest.fixture(scope="session")
def table(folder: Path) -> Path:
    """Run of vectors of five numbers with a mean of 3."""
    rows = np.random.default_rng(0).normal(3.0, 2.0, (N, 5)).astype("float32")
    assert train(save_data(folder / "table-data", rows), folder / "table") == 0
    return folder / "table"


@pytest.fixture(scope="session")
def stopped(folder: Path) -> Path:
    """Run that was stopped at its fifth step."""
    data = save_data(folder / "stopped-data")
    with pytest.MonkeyPatch.context() as patch:
        assert train_until(patch, at_step(5), data, folder / "stopped") == 130
    return folder / "stopped"


@pytest.fixture(scope="session")
def visit() -> Iterator[Visit]:
    """Return the client of a run's page with its token; one per run."""
    clients: dict[Path, TestClient] = {}
    with ExitStack() as stack:

        def enter(folder: Path) -> TestClient:
            if folder not in clients:
                client = stack.enter_context(client_of(folder))
                assert client.get("/", params={"token": TOKEN}).status_code == 200
                clients[folder] = client
            return clients[folder]

        yield enter
