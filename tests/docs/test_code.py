"""The Python code of every page runs, from top to bottom, as a reader would run it.

Only the length of a training differs: here it is a few steps, and `runs/mnist` is a run of 300
digits with a narrow decoder. So what is tested is that the code runs, not how well anything learns.
"""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from tests.docs.pages import PAGES, blocks

import glo
from glo.cli.app import run as command
from glo.runs.run import Run

RUN = "runs/mnist"
# What a page says it has already: pictures of one's own, a table.
_RNG = np.random.default_rng(0)
BYTES = _RNG.integers(0, 256, (40, 32, 32), dtype=np.uint8)


def exported() -> Run:
    """The run, and beside it what the page of exports writes first."""
    assert command(["export", RUN, "--onnx", "onnx", "--codes", "codes.parquet"]) == 0
    return glo.open_run(RUN)


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "README.md": lambda: {"X": _RNG.normal(size=(60, 5))},
    "design.md": lambda: {"images": BYTES, "new_images": BYTES[:3]},
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
def desk(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own with the run in it, where trainings are short."""
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("glo.config.settings._LEAST_EPOCHS", 1)
    monkeypatch.setattr("glo.config.settings._LEAST_STEPS", 20)
    monkeypatch.setattr("glo.config.settings._LEAST_STEPS_OF_VECTORS", 20)
    with warnings.catch_warnings():
        # What is said of models that were hardly trained.
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield tmp_path


@pytest.fixture
def few_digits(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a page takes all digits of scikit-learn, and does not count them, it gets some."""
    if page.name == "estimator.md":
        return
    bunch = datasets.load_digits()
    some = Bunch(images=bunch.images[:300], target=bunch.target[:300])
    monkeypatch.setattr(datasets, "load_digits", lambda: some)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
@pytest.mark.usefixtures("few_digits")
def test_the_code_of_a_page_runs(page: Path, desk: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__", **GIVEN.get(page.name, dict)()}
    for block in blocks(page, "python"):
        # Lines are counted as on the page, so that a traceback points there.
        source = "\n" * (block.line - 1) + block.text
        exec(compile(source, str(page), "exec"), names)


def test_pages_have_code() -> None:
    assert len(WITH_CODE) > 12
