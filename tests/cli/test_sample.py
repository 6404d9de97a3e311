"""`glo sample`: pictures, numbers and files, without the data."""

import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image
from tests.builders import TINY, contents, flip, save_data

from glo.cli.app import run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def numbers(made: Path, n: int, *more: str) -> np.ndarray:
    out = f"{n}{''.join(more)}.npy"
    assert run(["sample", str(made), "--n", str(n), *more, "--out", out]) == 0
    return np.load(out, allow_pickle=False)


def test_a_grid_in_the_run_by_default(
    tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    assert run(["sample", str(copy), "--n", "9", "--seed", "2"]) == 0
    path = copy / "samples" / "mixture-seed2-n9.png"
    assert capsys.readouterr().out == f"9 samples of seed 2 from the mixture prior: {path}\n"
    with Image.open(path) as picture:
        assert picture.size == (200, 200)


def test_numbers_are_bytes_and_sample_j_is_always_the_same(made: Path) -> None:
    many = numbers(made, 70, "--seed", "3")
    assert many.dtype == np.uint8
    assert many.shape == (70, 8, 8, 1)
    for n in (1, 2, 64):
        assert np.array_equal(numbers(made, n, "--seed", "3"), many[:n])
    assert not np.array_equal(numbers(made, 70, "--seed", "4"), many)
    assert not np.array_equal(numbers(made, 70, "--seed", "3", "--temperature", "0.1"), many)


def test_separate_files_hold_the_same_examples(made: Path, home: Path) -> None:
    many = numbers(made, 3)
    assert run(["sample", str(made), "--n", "3", "--separate", "--out", "each"]) == 0
    files = sorted((home / "each").iterdir())
    assert [path.name for path in files] == [f"seed0-{n:06d}.png" for n in range(3)]
    for path, image in zip(files, many, strict=True):
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture), image[..., 0])


def test_vectors_are_numbers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = save_data(home, np.random.default_rng(0).normal(size=(20, 5)))
    assert run(["train", data, *TINY, "--out", "run"]) == 0
    values = numbers(Path("run"), 4)
    assert (values.dtype, values.shape) == (np.float32, (4, 5))
    assert run(["sample", "run", "--n", "2"]) == 0
    assert (home / "run" / "samples" / "mixture-seed0-n2.npy").is_file()
    assert run(["sample", "run", "--n", "2", "--separate", "--out", "each"]) == 0
    assert np.array_equal(np.load(home / "each" / "seed0-000001.npy"), values[1])
    capsys.readouterr()
    assert run(["sample", "run", "--out", "x.png"]) == 2
    said = capsys.readouterr().err
    assert "--out is x.png; it must be a file that ends in .csv, .parquet or .npy, as run" in said
    for name, read in (("x.csv", pandas.read_csv), ("new/x.parquet", pandas.read_parquet)):
        assert run(["sample", "run", "--n", "4", "--out", name]) == 0
        table = read(name)
        assert list(table) == ["x0", "x1", "x2", "x3", "x4"]
        assert np.array_equal(table.to_numpy(np.float32), values)


BAD = {
    "ending": (["--out", "new/x.jpg"], "must end in .png (a grid) or .npy"),
    "no ending": (["--out", "new"], "or be a folder with --separate"),
    "none": (["--n", "0"], "--n is 0; it must be at least 1"),
    "fewer": (["--n", "-4"], "--n is -4"),
    "cold": (["--temperature", "0"], "both must be above 0"),
    "nan": (["--temperature", "nan"], "both must be above 0 and finite"),
    "below a file": (["--out", "file/x.png"], "exists and is not a folder"),
    "separate in a file": (["--separate", "--out", "file"], "exists and is not a folder"),
    "a folder": (["--out", "folder.npy"], "is a folder; give the name of a file"),
    "a folder of pictures": (["--out", "folder.png"], "is a folder; give the name of a file"),
    "option": (["--sead", "3"], "Did you mean --seed?"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_are_one_sentence_and_write_nothing(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (home / "file").write_text("mine")
    for folder in ("folder.npy", "folder.png"):
        (home / folder).mkdir()
    before, inside = contents(home), contents(made)
    words, part = BAD[name]
    assert run(["sample", str(made), *words]) == 2
    text = capsys.readouterr().err
    assert text.startswith("glo: ")
    assert text.count("\n") == 1
    assert part in text
    assert contents(made) == inside
    assert {k: v for k, v in contents(home).items() if not k.startswith(".")} == before
    assert not (home / "new").exists()


def test_what_is_no_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    no_config, nowhere = "it has no config.toml", "it does not exist"
    for path, lack in ((save_data(home), no_config), (str(home), no_config), ("no", nowhere)):
        assert run(["sample", path]) == 2
        assert f"{path} is not a run folder: {lack}; give" in capsys.readouterr().err


def test_a_run_that_is_not_finished(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sample", str(stopped)]) == 2
    assert "is not finished, so there is nothing to sample from yet" in capsys.readouterr().err


def test_a_damaged_prior(tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    flip(copy / "prior" / "mixture.safetensors", 0.9)
    assert run(["sample", str(copy)]) == 2
    assert "cannot be read as a prior" in capsys.readouterr().err


def test_another_prior_is_fitted_once_and_kept(
    tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    (copy / "prior" / "gaussian.safetensors").unlink()
    words = [
        "sample",
        str(copy),
        "--n",
        "3",
        "--prior",
        "gaussian",
        "--out",
        str(tmp_path / "a.npy"),
    ]
    assert run(words) == 0
    assert "fitting the gaussian prior" in capsys.readouterr().err
    first = np.load(tmp_path / "a.npy")
    assert run(words) == 0
    assert "fitting" not in capsys.readouterr().err
    assert np.array_equal(np.load(tmp_path / "a.npy"), first)


def test_a_prior_that_does_not_exist(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inside = contents(made)
    assert run(["sample", str(made), "--prior", "gausian"]) == 2
    assert "Did you mean 'gaussian'?" in capsys.readouterr().err
    assert contents(made) == inside


def test_labels_where_there_are_none(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sample", str(made), "--label", "7"]) == 2
    assert "has no labels; train on examples with labels" in capsys.readouterr().err


def test_samples_of_one_label(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    rows = rng.normal(size=(60, 5)) * 0.1 + 4.0 * labels[:, None]
    np.savez(home / "two.npz", x=rows.astype("float32"), y=labels)
    assert run(["train", "two.npz", *TINY, "--out", "run"]) == 0
    for label in (0, 1):
        values = numbers(Path("run"), 20, "--label", str(label), "--prior", "gaussian")
        assert np.array_equal(
            numbers(Path("run"), 7, "--label", str(label), "--prior", "gaussian"), values[:7]
        )
    capsys.readouterr()
    assert run(["sample", "run", "--label", "5"]) == 2
    assert "which no training example has; choose one of 0, 1" in capsys.readouterr().err
