"""Classes by their names: of added folders, of samples, in names of files."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.builders import train
from tests.cli.test_identities import draw

from glo.cli.app import run
from glo.runs.run import open_run

NAMES = ("cat", "dog")


def classes(folder: Path, first: int) -> list[str | None]:
    opened = open_run(folder)
    assert opened.labels is not None
    return [opened.label_names[k] if k >= 0 else None for k in opened.labels[first:].tolist()]


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of cats and dogs."""
    folder = tmp_path_factory.mktemp("pets")
    for i in range(8):
        draw(folder / f"data/cat/{i}.png", 20 + i)
        draw(folder / f"data/dog/{i}.png", 200 + i)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        assert train(str(folder / "data"), folder / "run") == 0
    return folder / "run"


@pytest.fixture
def copy(pets: Path, tmp_path: Path) -> Path:
    for i in range(2):
        draw(tmp_path / f"new/dog/{i}.png", 210 + i)
    return shutil.copytree(pets, tmp_path / "run")


@pytest.mark.parametrize(
    "given", ["new/dog", "new/dog/", "./new/../new/dog", "{absolute}", "latest", "."]
)
def test_a_class_folder_keeps_its_class(
    given: str, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "latest").symlink_to(tmp_path / "new/dog")
    if given == ".":
        monkeypatch.chdir(tmp_path / "new/dog")
    words = ["add", str(copy), given.format(absolute=tmp_path / "new/dog")]
    assert run(words) == 0
    assert open_run(copy).label_names == NAMES
    assert classes(copy, 16) == ["dog", "dog"]


def test_folders_of_classes_and_a_new_one(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "new/owl/1.png", 120)
    draw(tmp_path / "new/cat/deeper/1.png", 30)
    assert run(["add", str(copy), "new"]) == 0
    assert "New classes: owl;" in capsys.readouterr().out
    assert classes(copy, 16) == ["cat", "dog", "dog", "owl"]
    opened = open_run(copy)
    assert opened.label_names == (*NAMES, "owl")
    assert opened.row_ids.names[16:] == [
        "cat/deeper/1.png", "new/dog/0.png", "new/dog/1.png", "owl/1.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["new/dog/0.png"], [None]),
        (["photos"], [None, "dog"]),
        (["photos/more"], [None]),
        (["new/dog", "photos/more"], ["dog", "dog", None]),
    ],
)
def test_no_class_is_made_up(
    files: list[str],
    expected: list[str | None],
    copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw(tmp_path / "photos/dog/2.png", 215)
    draw(tmp_path / "photos/more/3.png", 220)
    if files == ["photos"]:
        shutil.rmtree(tmp_path / "photos/more")
        draw(tmp_path / "photos/1.png", 90)
    assert run(["add", str(copy), *files]) == 0
    assert f"{expected.count(None)} added" in capsys.readouterr().out
    assert classes(copy, 16) == expected
    assert open_run(copy).label_names == NAMES


@pytest.mark.parametrize("parts", [("all",), ("train", "test")])
def test_folders_around_classes_are_no_classes(
    parts: tuple[str, ...], copy: Path, tmp_path: Path
) -> None:
    for part in parts:
        draw(tmp_path / f"late/{part}/cat/1.png", 30)
        draw(tmp_path / f"late/{part}/owl/2.png", 120)
    assert run(["add", str(copy), "late"]) == 0
    assert classes(copy, 16) == ["cat", "owl"] * len(parts)


def test_classes_are_not_used_in_a_run_without_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(4):
        draw(tmp_path / f"pets/{i}.png", 40 * i)
    assert train(str(tmp_path / "pets"), tmp_path / "run") == 0
    draw(tmp_path / "new/cat/1.png", 30)
    draw(tmp_path / "new/dog/1.png", 210)
    draw(tmp_path / "loose/9.png", 120)
    for folder, has_message in (("loose", False), ("new", True)):
        assert run(["add", "run", folder]) == 0
        assert ("labels of the added examples are not used" in capsys.readouterr().out) is (
            has_message
        )
    assert open_run(tmp_path / "run").labels is None
    assert open_run(tmp_path / "run").row_ids.names[4:] == ["9.png", "cat/1.png", "dog/1.png"]


def test_names_that_are_numbers(tmp_path: Path, refuse: Any) -> None:
    """Folders 1, 2, 10 and -1 with grays of their own; see case 1."""
    grays = {"1": 30, "2": 110, "10": 190, "-1": 245}
    for name, gray in grays.items():
        for i in range(8):
            draw(tmp_path / f"data/{name}/{i}.png", gray + i % 2)
    words = ["--code-dim", "2", "--width", "4", "--batch-size", "8", "--epochs", "60"]
    assert run(["train", "data", *words, "--out", "run"]) == 0
    for name, gray in grays.items():
        out = tmp_path / f"{name}.npy"
        assert run(["sample", "run", f"--label={name}", "--n", "4", "--out", str(out)]) == 0
        assert abs(float(np.load(out).mean()) - gray) < 35, name
        assert run(["walk", "run", f"label:{name}", "mean"]) == 0
    assert len(list((tmp_path / "run/walks").iterdir())) == 4
    refuse(["sample", "run", "--label", "3"], "2, 10")


def test_any_name_gives_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a/b", "a_b", "T-shirt", "t-shirt", "..", "猫", "犬", "x" * 300, "a b", "0.5"]
    rng = np.random.default_rng(0)
    labels = np.repeat(names, 4)
    np.savez("data.npz", x_train=rng.normal(size=(len(labels), 5)).astype("f"), y_train=labels)
    assert train("data.npz", tmp_path / "run") == 0
    assert set(open_run("run").label_names) == set(names)
    monkeypatch.setattr(
        "glo.runs.run.sample_label", lambda prior, labels, number, n, **_: prior.sample(n, seed=0)
    )
    for name in names:
        assert run(["sample", "run", "--n", "1", "--label", name]) == 0
        assert run(["walk", "run", f"label:{name}", "mean"]) == 0
    for folder in ("samples", "walks"):
        files = {path.name.casefold() for path in Path("run", folder).iterdir()}
        assert len(files) == len(names)
