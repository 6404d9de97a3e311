"""`glo walk`: every way to name a point, every kind of walk and of file, and mistakes."""

import csv
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.builders import SIDE, images, save_data, train
from tests.cli.conftest import Refuse

from glo.cli.app import run
from glo.data import to_uint8
from glo.latents.directions import principal_directions, walk_along
from glo.latents.interpolation import interpolate
from glo.runs.run import open_run

TILE = 64 + 2


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A run of vectors around two places, one for each label."""
    labels = np.arange(20) % 2
    rows = np.random.default_rng(0).normal(size=(20, 5)) * 0.1 + 4.0 * labels[:, None]
    np.savez("two.npz", x=rows.astype("float32"), y=labels)
    assert train("two.npz", tmp_path / "run") == 0
    return tmp_path / "run"


def walk(folder: Path, *words: str) -> int:
    return run(["walk", str(folder), *words])


def table(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def codes_in(path: str) -> NDArray[np.float32]:
    rows = table(path)
    names = [name for name in rows[0] if name.startswith("z")]
    return np.array([[row[name] for name in names] for row in rows], dtype=np.float32)


def tile(path: str | Path, line: int, place: int) -> NDArray[np.uint8]:
    """Return a tile of a picture, as small as it was."""
    with Image.open(path) as picture:
        top, left = 2 + line * TILE, 2 + place * TILE
        sheet = np.asarray(picture)
    return sheet[top : top + 64 : 64 // SIDE, left : left + 64 : 64 // SIDE]


def decoded(folder: Path, row: int) -> NDArray[np.uint8]:
    return to_uint8(open_run(folder).reconstruct(torch.tensor([row])))[0, ..., 0]


def test_a_strip_in_the_run_by_default(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    assert walk(copy, "3", "12") == 0
    path = copy / "walks" / "3-12.png"
    assert capsys.readouterr().out == f"12 codes on 1 line: {path}\n"
    with Image.open(path) as picture:
        assert picture.size == (12 * TILE + 2, TILE + 2)
    assert np.array_equal(tile(path, 0, 0), decoded(made, 3))
    assert np.array_equal(tile(path, 0, 11), decoded(made, 12))


def test_the_points_of_a_row_list(made: Path, tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "rows.txt").write_text("# two of them\nid:12\n3\n")
    assert walk(made, "--rows", "rows.txt", "--out", "listed.csv") == 0
    assert walk(made, "--rows", "12,3", "--out", "named.csv") == 0
    assert walk(made, "12", "3", "--out", "points.csv") == 0
    assert Path("listed.csv").read_text() == Path("points.csv").read_text()
    assert Path("named.csv").read_text() == Path("points.csv").read_text()
    refuse(["walk", str(made), "3", "--rows", "12"], "--rows and POINTS")
    refuse(["walk", str(made), "--rows", "none.txt"], "no text file 'none.txt'")
    refuse(["walk", str(made), "--rows", "3"], "1 were given")


def test_points_are_rows_samples_the_mean_and_files(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = open_run(made)
    Image.fromarray(decoded(made, 5)).save("12.png")
    words = ["7", "sample:3", "mean", "12.png", "--steps", "2", "--seed", "4"]
    assert walk(made, *words, "--out", "new/some.csv") == 0
    found = codes_in("new/some.csv")
    assert [(row["line"], row["step"]) for row in table("new/some.csv")] == [
        (str(line), str(step)) for line in range(3) for step in range(2)
    ]
    assert np.array_equal(found[0], opened.codes[7].numpy())
    drawn = opened.prior().sample(4, seed=4)[3]
    np.testing.assert_allclose(found[1], drawn, atol=1e-6)
    np.testing.assert_allclose(found[3], opened.codes.mean(0), atol=1e-6)
    # What the decoder made itself, but for the rounding to bytes, is found again.
    assert "The code of 12.png has a residual of 0.000" in capsys.readouterr().out


def test_labels_and_sums_of_vectors(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = open_run(labelled)
    means = [opened.codes[label::2].mean(0) for label in (0, 1)]
    words = ["--from", "4", "--minus", "label:0", "--plus", "label:1", "--strength", "0.5"]
    assert walk(labelled, *words, "--out", "sum.csv") == 0
    found = codes_in("sum.csv")
    assert len(found) == 12
    assert np.array_equal(found[0], opened.codes[4].numpy())
    truth = opened.codes[4] + 0.5 * (means[1] - means[0])
    truth = truth / truth.norm().clamp(min=1.0)
    np.testing.assert_allclose(found[-1], truth, atol=1e-5)
    first = [float(table("sum.csv")[0][f"x{place}"]) for place in range(5)]
    np.testing.assert_allclose(first, opened.reconstruct(torch.tensor([4]))[0], rtol=1e-5)
    capsys.readouterr()
    assert walk(labelled, "label:0", "label:1") == 0
    assert capsys.readouterr().out.endswith("run/walks/label-0-label-1.csv\n")
    assert walk(labelled, "label:7", "0") == 2
    assert "label is 7, which no training example has" in capsys.readouterr().err
    assert walk(labelled, "0", "1", "--out", "x.png") == 2
    assert "was trained on vectors" in capsys.readouterr().err
    assert walk(labelled, "1", "--neighbors", "2", "--out", "near.csv") == 0
    assert list(table("near.csv")[0])[:3] == ["row", "distance", "z0"]
    assert "x4" in table("near.csv")[0]


@pytest.mark.parametrize(("corners", "count"), [(4, 9), (3, 6)])
def test_a_grid_between_points(made: Path, corners: int, count: int) -> None:
    rows = [str(row) for row in range(corners)]
    for out in ("grid.png", "grid.csv"):
        assert walk(made, *rows, "--grid", "--steps", "3", "--path", "sphere", "--out", out) == 0
    with Image.open("grid.png") as picture:
        assert picture.size == (3 * TILE + 2, 3 * TILE + 2)
    assert len(table("grid.csv")) == count
    assert np.array_equal(tile("grid.png", 2, 0), decoded(made, corners - 2))
    assert np.array_equal(tile("grid.png", 2, 2), decoded(made, corners - 1))
    with Image.open("grid.png") as picture:
        assert (picture.getpixel((30, 30)) == 255) == (corners == 3)


def test_principal_directions(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--principal", "2", "--steps", "5", "--reach", "1"]
    assert walk(made, "6", *words, "--out", "p.csv") == 0
    said = capsys.readouterr().out
    opened = open_run(made)
    directions = principal_directions(opened.codes, 2)
    truth = [
        walk_along(directions, place, 5, reach=1.0, about=opened.codes[6], constraint="ball")
        for place in range(2)
    ]
    np.testing.assert_allclose(codes_in("p.csv"), torch.cat(truth), atol=1e-6)
    share, deviation = directions.shares[1], directions.deviations[1]
    assert f"direction 2: {100 * share:.1f} % of the variance" in said
    assert f"deviation {deviation:.3f}\n" in said
    assert walk(made, *words, "--out", "p.png") == 0
    with Image.open("p.png") as picture:
        assert picture.size == (5 * TILE + 2, 2 * TILE + 2)


def test_neighbors_decoded_and_real(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "run"
    assert train(save_data(tmp_path), made) == 0
    capsys.readouterr()
    assert walk(made, "5", "--neighbors", "3", "--out", "n.png") == 0
    said = capsys.readouterr().out
    codes = open_run(made).codes
    distances = torch.cdist(codes[5:6], codes)[0]
    rows = distances.argsort()[1:4].tolist()
    for row in rows:
        assert f"example {row}: {distances[row]:.4f} away\n" in said
    assert np.array_equal(tile("n.png", 0, 0), decoded(made, 5))
    for place, row in enumerate([5, *rows]):
        assert np.array_equal(tile("n.png", 1, place), images()[row])
    Image.fromarray(images()[9]).save("nine.png")
    assert walk(made, "nine.png", "--neighbors", "2", "--out", "f.png") == 0
    assert np.array_equal(tile("f.png", 1, 0), images()[9])
    assert walk(made, "mean", "--neighbors", "2", "--out", "m.png") == 0
    assert (tile("m.png", 1, 0) == 255).all()
    Path("data.npy").rename("moved.npy")
    capsys.readouterr()
    assert walk(made, "5", "--neighbors", "3", "--out", "g.png") == 0
    assert "Decoded images only. The training data of" in capsys.readouterr().out
    with Image.open("g.png") as picture:
        assert picture.size == (4 * TILE + 2, TILE + 2)
    words = ["5", "--neighbors", "3", "--out", "h.png", "--data"]
    assert walk(made, *words, "moved.npy") == 0
    assert Path("h.png").read_bytes() == Path("n.png").read_bytes()
    np.save("other.npy", images(seed=3))
    assert walk(made, *words, "other.npy") == 2
    assert "These are not the data that" in capsys.readouterr().err


def test_films_go_there_and_back(made: Path) -> None:
    assert walk(made, "1", "2", "3", "--steps", "5", "--out", "w.gif") == 0
    opened = open_run(made)
    a, b, c = opened.codes[1:4]
    ways = [interpolate(a, b, 5, constraint="ball"), interpolate(b, c, 5, constraint="ball")[1:]]
    assert len(torch.cat(ways)) == 9
    with Image.open("w.gif") as film:
        assert film.size == (256, 256)
        assert film.info["loop"] == 0
        shown, lengths = [], []
        for frame in range(film.n_frames):
            film.seek(frame)
            shown.append(np.asarray(film.convert("L"))[:: 256 // SIDE, :: 256 // SIDE])
            lengths.append(film.info["duration"])
    assert len(shown) == 16
    assert lengths == [400, *[40] * 7, 400, *[40] * 7]
    for place, row in ((0, 1), (4, 2), (8, 3), (12, 2)):
        assert np.array_equal(shown[place], decoded(made, row))
    assert walk(made, "--principal", "3", "--steps", "3", "--out", "p.gif") == 0
    with Image.open("p.gif") as film:
        assert film.size == (3 * TILE + 2, TILE + 2)


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program on the PATH that takes what ffmpeg would, and is written in Python."""

    def make(program: str) -> None:
        path = tmp_path / "bin" / "ffmpeg"
        path.parent.mkdir()
        path.write_text(f"#!{sys.executable} -S\n{program}", "utf-8")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent))

    return make


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for ffmpeg is a script")
def test_frames_go_to_ffmpeg(made: Path, ffmpeg: Callable[[str], None]) -> None:
    ffmpeg(
        "import sys\n"
        "content = sys.stdin.buffer.read()\n"
        "open(sys.argv[-1], 'wb').write(content)\n"
        "open('words', 'w').write(' '.join(sys.argv))\n"
    )
    assert walk(made, "1", "2", "--steps", "3", "--out", "w.mp4") == 0
    frames = np.frombuffer(Path("w.mp4").read_bytes(), np.uint8).reshape(-1, 256, 256, 3)
    assert len(frames) == 10 + 1 + 10 + 1
    for frame, row in ((0, 1), (9, 1), (11, 2), (20, 2)):
        small = frames[frame, :: 256 // SIDE, :: 256 // SIDE, 0]
        assert np.array_equal(small, decoded(made, row))
    words = Path("words").read_text("utf-8")
    assert "-f rawvideo -pix_fmt rgb24 -s 256x256 -r 25" in words
    assert sorted(path.name for path in Path().iterdir() if path.suffix == ".mp4") == ["w.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for ffmpeg is a script")
def test_ffmpeg_fails_or_is_not_there(
    made: Path,
    ffmpeg: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["1", "2", "--steps", "2", "--out", "w.mp4"]
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        assert walk(made, *words) == 2
    assert "w.mp4 needs the program ffmpeg, which is not on the PATH" in capsys.readouterr().err
    ffmpeg("import sys; sys.stdin.buffer.read(); sys.exit('Unknown encoder')")
    assert walk(made, *words) == 2
    assert "ffmpeg could not write w.mp4 (Unknown encoder); give a .gif" in capsys.readouterr().err
    assert not list(Path().glob("*.mp4"))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "A walk takes two to 99 points, and 0 were given"),
        (["1", "20"], "Row 20 is not there: the rows are 0 to 19"),
        (["1", "lable:7"], "'lable:7' is not a point; give the row or identity of a training"),
        (["1", "maen"], "Did you mean 'mean'?"),
        (["1", "label:7"], "has no labels"),
        (["1", "sample:x"], "sample:x is not a sample"),
        (["1", "data.npy"], "data.npy has several examples"),
        (["1", "vectors.npy"], "vectors has vectors of 6, but"),
        (["1", "2", "--steps", "1"], "n is 1; a walk has two ends"),
        (["1", "2", "--path", "round"], "--path"),
        (["1", "2", "--grid"], "--grid takes three or four points, and 2 were given"),
        (["1", "--from", "2", "--plus", "3"], "--from takes no points beside those of --from"),
        (["--from", "2"], "--from needs --minus or --plus"),
        (["1", "2", "--principal", "2"], "--principal takes one point or none, and 2 were given"),
        (["--principal", "5"], "5 principal directions were asked for, and 20 codes of 4 numbers"),
        (["1", "--neighbors", "0"], "--neighbors is 0; give 1 or more"),
        (["1", "--neighbors", "2", "--principal", "2"], "--principal and --neighbors are"),
        (["1", "2", "--out", "x.jpg"], "--out is x.jpg; it must be a .png, .gif, .mp4 or .csv"),
        (["1", "2", "3", "--grid", "--out", "x.gif"], "--out is x.gif; it must be a .png or .csv"),
    ],
)  # fmt: skip
def test_refusals(
    made: Path, tmp_path: Path, words: list[str], part: str, refuse_unchanged: Refuse
) -> None:
    Path("folder.png").mkdir()
    np.save("vectors.npy", np.zeros((1, 6), np.float32))
    save_data(tmp_path)
    out = [] if "--out" in words else ["--out", "x.png"]
    refuse_unchanged(["walk", str(made), *words, *out], part)


def test_an_unfinished_run_has_rows_to_walk_between(stopped: Path) -> None:
    assert walk(stopped, "1", "2", "--out", "x.png") == 0
