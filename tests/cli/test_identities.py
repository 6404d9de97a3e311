"""Rows by the names of their files: the right one in every output and every command."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.builders import images, save_data, train

from glo.cli.app import run
from glo.data import Dataset
from glo.runs.run import open_run

# Gray of the picture of person i.
GRAYS = range(10, 250, 20)
READABLE = [i for i in range(12) if i not in (3, 7)]


def draw(path: Path, gray: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), gray, np.uint8)).save(path)
    return path


def codes(folder: Path, tmp_path: Path) -> list[dict[str, str]]:
    out = tmp_path / "codes.csv"
    assert run(["export", str(folder), "--codes", str(out)]) == 0
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve people, of whom two cannot be read, and its run."""
    folder = tmp_path_factory.mktemp("people")
    for i, gray in enumerate(GRAYS):
        draw(folder / f"people/person{i}.png", gray)
    for i in (3, 7):
        (folder / f"people/person{i}.png").write_bytes(b"no picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        assert train(str(folder / "people"), folder / "run") == 0
    return folder


@pytest.fixture
def copy(people: Path, tmp_path: Path) -> Path:
    return shutil.copytree(people / "run", tmp_path / "run")


def test_every_row_has_its_file(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = codes(people / "run", tmp_path)
    assert [(row["row"], row["id"]) for row in table] == [
        (str(row), f"person{i}.png") for row, i in enumerate(READABLE)
    ]
    made = open_run(people / "run")
    dataset = made.open_data(command="glo report")
    grays = (dataset.batch(range(10)).mean((1, 2, 3)) + 1) * 127.5
    assert grays.round().tolist() == [GRAYS[i] for i in READABLE]
    capsys.readouterr()
    assert run(["info", str(people / "run")]) == 0
    assert "person0.png to person11.png" in capsys.readouterr().out
    assert run(["info", str(people / "run"), "--row", "person6.png", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["row"], row["id"], row["label"]) == (5, "person6.png", None)
    assert made.errors is not None
    assert row["error"] == pytest.approx(float(made.errors[5]))


@pytest.mark.parametrize("words", ["person6.png", "5", "id:person6.png", "row:5", "list.txt"])
def test_forget_the_person_that_is_meant(
    words: str, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("person6.png\n")
    # The picture itself is no list of rows.
    draw(tmp_path / "person6.png", 130)
    before = open_run(copy).codes
    assert run(["forget", "--yes", str(copy), words]) == 0
    assert "Removed row 5 (person6.png)" in capsys.readouterr().out
    table = codes(copy, tmp_path)
    assert [row["id"] for row in table] == [f"person{i}.png" for i in READABLE if i != 6]
    assert [float(row["z0"]) for row in table] == pytest.approx(
        before[[*range(5), *range(6, 10)], 0].tolist(), rel=1e-5
    )


def test_forget_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    raw = os.fsdecode(b"caf\xe9.png")
    for name in ("a.png", raw, "z.png"):
        draw(tmp_path / "new" / name, 90)
    assert train(str(tmp_path / "new"), tmp_path / "run") == 0
    assert run(["forget", "--yes", "run", raw]) == 0
    assert open_run(tmp_path / "run").row_ids.names == ["a.png", "z.png"]


def test_the_same_number_twice_removes_nobody_else(copy: Path, refuse: Any) -> None:
    assert run(["forget", "--yes", str(copy), "5"]) == 0
    for rows in ("5", "person6.png", "3-6"):
        refuse(["forget", "--yes", str(copy), rows])
    assert open_run(copy).data.n == 9
    refuse(["walk", str(copy), "5", "0"], "row:5")
    assert run(["forget", "--yes", str(copy), "4,row:5"]) == 0
    remaining = [i for i in READABLE if i not in (5, 6, 8)]
    assert open_run(copy).row_ids.names == [f"person{i}.png" for i in remaining]


def test_a_list_or_a_row(copy: Path, tmp_path: Path, refuse: Any) -> None:
    ids = json.loads((copy / "ids.json").read_text())
    (copy / "ids.json").write_text(json.dumps(["ann", "rows", *ids[2:]]))
    (tmp_path / "rows").write_text("ann\n")
    refuse(["forget", "--yes", str(copy), "rows"])
    assert run(["forget", "--yes", str(copy), "./rows"]) == 0
    assert run(["forget", "--yes", str(copy), "id:rows"]) == 0
    assert open_run(copy).row_ids.names == ids[2:]
    refuse(["forget", "--yes", str(copy), "person7.png"], "person7.png")
    refuse(["forget", "--yes", str(copy), "nobody.txt"], "nobody.txt")


def test_walk_from_a_row_or_a_file(copy: Path, tmp_path: Path, refuse: Any) -> None:
    out = tmp_path / "walk.csv"
    words = ["walk", str(copy), "person6.png", "id:person8.png", "--steps", "2", "--out", str(out)]
    assert run(words) == 0
    with out.open(newline="") as file:
        lines = [[float(line[f"z{i}"]) for i in range(4)] for line in csv.DictReader(file)]
    assert np.allclose(lines, open_run(copy).codes[[5, 6]], atol=1e-5)
    draw(tmp_path / "person6.png", 130)
    refuse(words, "id:person6.png")
    refuse(["walk", str(copy), "person7.png", "0"], "person7.png")
    assert run(["walk", str(copy), "person8.png", "--neighbors", "2", "--out", str(out)]) == 0
    with out.open(newline="") as file:
        for line in csv.DictReader(file):
            assert line["id"] == f"person{READABLE[int(line['row'])]}.png"


def test_encode_names_its_files(copy: Path, tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png"):
        draw(tmp_path / name, 40)
    out = tmp_path / "new.csv"
    assert run(["encode", str(copy), "b", "--out", str(out)]) == 0
    with out.open(newline="") as file:
        assert [line["name"] for line in csv.DictReader(file)] == ["b/2.png", "b/10.png"]


def test_notes_of_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = Dataset(rows=images()[..., None], name="noise", notes=("Gray is brightness.",))
    samples.save("data")
    assert train("data", tmp_path / "run") == 0
    assert "Note: Gray is brightness." in capsys.readouterr().out.splitlines()
    assert open_run(tmp_path / "run").notes == ("Gray is brightness.",)
    assert run(["info", "run"]) == 0
    assert "note         Gray is brightness." in capsys.readouterr().out
    notes = ("Gray is brightness.", "White is 9.")
    Dataset(rows=images(8, seed=3)[..., None], name="more", notes=notes).save("more")
    commands = (["encode", "run", "more"], ["evaluate", "run", "--heldout", "more", "--n", "8"])
    for words in (*commands, ["add", "run", "more"]):
        assert run(words) == 0
        err = capsys.readouterr().err
        assert "Note: White is 9." in err
        assert "Gray" not in err, "a note of the training data"


def test_added_rows_have_names_of_their_own(copy: Path, tmp_path: Path) -> None:
    draw(tmp_path / "more/person1.png", 40)
    draw(tmp_path / "more/person20.png", 60)
    single = draw(tmp_path / "person21.png", 80)
    assert run(["add", str(copy), "more", "person21.png"]) == 0
    names = open_run(copy).row_ids.names[10:]
    assert names == ["more/person1.png", "person20.png", "person21.png"]
    draw(single, 90)
    assert run(["add", str(copy), "person21.png"]) == 0
    assert run(["add", str(copy), save_data(tmp_path, np.zeros((2, 8, 8), np.uint8))]) == 0
    names = open_run(copy).row_ids.names[13:]
    assert names == ["person21.png (2)", "data[0]", "data[1]"]
    assert run(["forget", "--yes", str(copy), "person21.png (2),data[1]"]) == 0
    assert open_run(copy).row_ids.names[12:] == ["person21.png", "data[0]"]
