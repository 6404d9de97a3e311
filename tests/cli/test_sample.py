"""`glo sample`: pictures, numbers and files, without the data."""

import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image
from tests.builders import TINY, contents, flip, save_data
from tests.cli.conftest import Refuse

from glo.cli.app import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "copy")


def draw(run_folder: Path, n: int, *options: str) -> np.ndarray:
    """Return `n` samples as numbers."""
    words = ["sample", str(run_folder), "--n", str(n), *options, "--out", "drawn.npy"]
    assert run(words) == 0
    return np.load("drawn.npy", allow_pickle=False)


def test_default_is_a_grid_in_the_run(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sample", str(copy), "--n", "9", "--seed", "2"]) == 0
    path = copy / "samples" / "mixture-seed2-n9.png"
    assert capsys.readouterr().out == f"9 samples of seed 2 from the mixture prior: {path}\n"
    with Image.open(path) as picture:
        assert picture.size == (200, 200)


def test_sample_j_of_a_seed_does_not_depend_on_n(made: Path) -> None:
    many = draw(made, 70, "--seed", "3")
    assert (many.dtype, many.shape) == (np.uint8, (70, 8, 8, 1))
    for n in (1, 2, 64):
        assert np.array_equal(draw(made, n, "--seed", "3"), many[:n])
    assert not np.array_equal(draw(made, 70, "--seed", "4"), many)
    assert not np.array_equal(draw(made, 70, "--seed", "3", "--temperature", "0.1"), many)


def test_separate_files_hold_the_same_examples(made: Path) -> None:
    many = draw(made, 3)
    assert run(["sample", str(made), "--n", "3", "--separate", "--out", "each"]) == 0
    files = sorted(Path("each").iterdir())
    assert [path.name for path in files] == [f"seed0-{n:06d}.png" for n in range(3)]
    for path, image in zip(files, many, strict=True):
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture), image[..., 0])


def test_vectors_are_written_as_numbers_and_tables(folder: Path, refuse: Refuse) -> None:
    data = save_data(folder, np.random.default_rng(0).normal(size=(20, 5)))
    assert run(["train", data, *TINY, "--out", "run"]) == 0
    values = draw(Path("run"), 4)
    assert (values.dtype, values.shape) == (np.float32, (4, 5))
    assert run(["sample", "run", "--n", "2"]) == 0
    assert Path("run/samples/mixture-seed0-n2.npy").is_file()
    assert run(["sample", "run", "--n", "2", "--separate", "--out", "each"]) == 0
    assert np.array_equal(np.load("each/seed0-000001.npy"), values[1])
    refuse(["sample", "run", "--out", "x.png"], "--out is x.png; ", ".csv, .tsv, .parquet or .npy")
    for name, read in (("x.csv", pandas.read_csv), ("new/x.parquet", pandas.read_parquet)):
        assert run(["sample", "run", "--n", "4", "--out", name]) == 0
        table = read(name)
        assert list(table) == ["x0", "x1", "x2", "x3", "x4"]
        assert np.array_equal(table.to_numpy(np.float32), values)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--out", "new/x.jpg"], ["--out is new/x.jpg", ".png", ".npy"]),
        (["--out", "new"], ["--out is new", "--separate"]),
        (["--n", "0"], ["--n is 0", "at least 1"]),
        (["--n", "-4"], ["--n is -4"]),
        (["--temperature", "0"], ["temperature", "above 0"]),
        (["--temperature", "nan"], ["temperature", "finite"]),
        (["--out", "file/x.png"], ["file", "is not a folder"]),
        (["--separate", "--out", "file"], ["file", "is not a folder"]),
        (["--out", "folder.npy"], ["folder.npy is a folder"]),
        (["--out", "folder.png"], ["folder.png is a folder"]),
        (["--sead", "3"], ["Did you mean --seed?"]),
        (["--prior", "gausian"], ["Did you mean 'gaussian'?"]),
        (["--label", "7"], ["has no labels"]),
    ],
    ids=" ".join,
)
def test_refusals_write_nothing(
    folder: Path, made: Path, refuse: Refuse, words: list[str], parts: list[str]
) -> None:
    (folder / "file").write_text("text")
    for name in ("folder.npy", "folder.png"):
        (folder / name).mkdir()
    before, before_run = contents(folder), contents(made)
    refuse(["sample", str(made), *words], *parts)
    assert contents(made) == before_run
    assert {k: v for k, v in contents(folder).items() if not k.startswith(".")} == before
    assert not (folder / "new").exists()


def test_damaged_prior(copy: Path, refuse: Refuse) -> None:
    flip(copy / "prior" / "mixture.safetensors", 0.9)
    refuse(["sample", str(copy)], "mixture", "cannot be read")


def test_a_missing_prior_is_fitted_once(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "prior" / "gaussian.safetensors").unlink()
    first = draw(copy, 3, "--prior", "gaussian")
    assert "fitting the gaussian prior" in capsys.readouterr().err
    assert np.array_equal(draw(copy, 3, "--prior", "gaussian"), first)
    assert "fitting" not in capsys.readouterr().err


def test_samples_of_one_label(folder: Path, refuse: Refuse) -> None:
    labels = np.arange(60) % 2
    rows = np.random.default_rng(0).normal(size=(60, 5)) * 0.1 + 4.0 * labels[:, None]
    np.savez(folder / "two.npz", x=rows.astype("float32"), y=labels)
    assert run(["train", "two.npz", *TINY, "--out", "run"]) == 0
    for label in ("0", "1"):
        options = ["--label", label, "--prior", "gaussian"]
        values = draw(Path("run"), 20, *options)
        assert np.array_equal(draw(Path("run"), 7, *options), values[:7])
    refuse(["sample", "run", "--label", "5"], "choose one of 0, 1")
