"""The Python code of every page runs from top to bottom.

Trainings are shortened to a few steps; `runs/mnist` is a run of 300 digits with a narrow decoder.
"""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from tests.docs.pages import PAGES, blocks

import glo
from glo.cli.app import run as command
from glo.encoders import Encoder, write_encoder
from glo.runs.run import ENCODER_FILE, Run

RUN = "runs/mnist"
# Prerequisites of the pages: images, a table.
_RNG = np.random.default_rng(0)
BYTES = _RNG.integers(0, 256, (40, 32, 32), dtype=np.uint8)


def exported() -> Run:
    """Return the run, after the exports at the beginning of the page."""
    assert command(["export", RUN, "--onnx", "onnx", "--codes", "codes.parquet"]) == 0
    return glo.open_run(RUN)


def with_encoder() -> NDArray[np.uint8]:
    """Add an untrained encoder to the run, which is too small to have one, and return images."""
    encoder = Encoder(code_dim=32, shape=(1, 32, 32), width=4)
    write_encoder(Path(RUN) / ENCODER_FILE, encoder)
    return BYTES[:3]


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "README.md": lambda: {"X": _RNG.normal(size=(60, 5))},
    "encoder.md": lambda: {"images": with_encoder()},
    "encode.md": lambda: {"images": BYTES[:3]},
    "export.md": lambda: {"run": exported()},
    "restore.md": lambda: {
        "images": glo.open_source("mnist", glo.SourceOptions(limit=3)).batch(np.arange(3))
    },
}
WITH_CODE = [page for page in PAGES if blocks(page, "python")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(tmp_path_factory.mktemp("cache")))
        _make(folder)
        yield folder


def _make(folder: Path) -> None:
    tiny = ["--limit", "300", "--epochs", "1", "--width", "4", "--refine-passes", "1"]
    assert command(["train", "mnist", *tiny, "--out", str(folder / RUN)]) == 0
    table = str(folder / "results" / "test.npz")
    words = ["encode", str(folder / RUN), "mnist", "--split", "test", "--limit", "5"]
    assert command([*words, "--out", table]) == 0


@pytest.fixture
def workdir(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to a temporary folder with the run, and shorten trainings."""
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        glo.Settings,
        "epochs_for",
        lambda self, n: self.epochs or -(-20 // self.steps_per_epoch(n)),
    )
    with warnings.catch_warnings():
        # The diagnosis of models that were hardly trained.
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield tmp_path


@pytest.fixture
def few_digits(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace all digits of scikit-learn by some, unless the page depends on their number."""
    if page.name == "estimator.md":
        return
    bunch = datasets.load_digits()
    some = Bunch(images=bunch.images[:300], target=bunch.target[:300])
    monkeypatch.setattr(datasets, "load_digits", lambda: some)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
@pytest.mark.usefixtures("few_digits")
def test_code_of_page_runs(page: Path, workdir: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__", **GIVEN.get(page.name, dict)()}
    for block in blocks(page, "python"):
        # Keeps the line numbers of the page in tracebacks.
        source = "\n" * (block.line - 1) + block.text
        exec(compile(source, str(page), "exec"), names)


def test_pages_have_code() -> None:
    assert len(WITH_CODE) > 12
