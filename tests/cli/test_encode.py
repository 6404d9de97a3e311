"""`glo encode`: codes of images, folders and arrays, as arrays and tables, and mistakes."""

import csv
import gc
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.builders import SIDE, images, save_data, torchrun, train
from tests.cli.conftest import Refuse

from glo.cli.app import run
from glo.data import Dataset
from glo.inversion import invert
from glo.runs.run import open_run
from glo.workflows.anomaly import fit_anomaly_model
from glo.workflows.encode import encode, encode_dataset, prepare_search
from glo.workflows.inputs import open_inputs


def save_images(folder: Path, n: int = 3, side: int = SIDE) -> list[str]:
    folder.mkdir()
    names = [f"{number} ü, [x].png" for number in range(n)]
    for name, pixels in zip(names, images(n, side, seed=3), strict=True):
        Image.fromarray(pixels).save(folder / name)
    return names


def test_codes_are_those_of_invert(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_data(tmp_path, images(5, seed=2))
    assert run(["encode", str(made), data, "--limit", "4", "--out", "new/codes.npz"]) == 0
    said = capsys.readouterr()
    with np.load("new/codes.npz") as file:
        found = dict(file)
    opened = open_run(made)
    wanted = torch.from_numpy(images(5, seed=2)[:4]).unsqueeze(1).float() / 127.5 - 1
    truth = invert(opened.decoder, wanted, opened.codes)
    scores = ["anomaly", "code_percentile", "residual_percentile"]
    assert sorted(found) == sorted(["codes", "converged", "names", "residual", "steps", *scores])
    model = fit_anomaly_model(opened)
    for name, values in vars(model.score(truth.codes, truth.residuals)).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3)
    assert found["codes"].dtype == np.float32
    np.testing.assert_allclose(found["codes"], truth.codes, atol=1e-5)
    np.testing.assert_allclose(found["residual"], truth.residuals, rtol=1e-4)
    assert found["steps"].tolist() == truth.steps.tolist()
    assert found["converged"].tolist() == truth.converged.tolist()
    assert found["names"].tolist() == [f"data[{row}]" for row in range(4)]
    assert "4 codes of 4 numbers: new/codes.npz" in said.out
    assert f"highest {truth.residuals.max():.5f}; " in said.out
    assert said.err == "searching codes: 4 of 4\n"
    for name, lines in (("first", 2), ("worst", 2), ("errors", 3)):
        # Lines of four, zoomed by 8 and set apart by 2.
        with Image.open(f"new/codes-{name}.png") as picture:
            assert picture.size == (4 * 66 + 2, lines * 66 + 2)
            assert picture.mode == ("RGB" if name == "errors" else "L")


def test_a_range_that_was_given_clips_later_images(tmp_path: Path) -> None:
    data = save_data(tmp_path, images(8).astype(np.float32) / 400)
    assert train(data, tmp_path / "run", "--pixel-range", "0", "0.5") == 0
    late = save_data(tmp_path, images(2, seed=4) / 200 - 0.1, "late.npy")
    opened = open_inputs(open_run(tmp_path / "run"), [late]).dataset
    expected = ((images(2, seed=4) / 200 - 0.1) / 0.5).clip(0, 1) * 255
    np.testing.assert_allclose(opened.rows[..., 0], expected, atol=0.51)
    assert "have values beyond" in " ".join(opened.notes)


def test_a_folder_and_its_files_are_the_same_table(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = save_images(tmp_path / "some")
    (tmp_path / "some" / "broken.png").write_bytes(b"no image")
    (tmp_path / "some" / "notes.txt").write_text("no image either")
    assert run(["encode", str(made), "some", "--out", "a.csv"]) == 0
    assert "Skipped some/broken.png: not an image that pillow can read\n" in capsys.readouterr().err
    files = [f"some/{name}" for name in names]
    assert run(["encode", str(made), *files, "--out", "b.csv"]) == 0
    with open("a.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == files
    scores = ["residual_percentile", "code_percentile", "anomaly"]
    codes = ["z0", "z1", "z2", "z3"]
    assert list(rows[0]) == ["name", "residual", "converged", "steps", *scores, *codes]
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert run(["encode", str(made), "some", "--out", "c.npz"]) == 0
    with np.load("c.npz") as file:
        table = np.array([[float(row[f"z{place}"]) for place in range(4)] for row in rows])
        assert np.array_equal(table.astype(np.float32), file["codes"])


def test_other_sizes_and_colours_are_fitted(made: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save("wide.png")
    assert run(["encode", str(made), "wide.png"]) == 0
    with np.load("codes.npz") as file:
        assert file["codes"].shape == (1, 4)


def test_a_name_that_is_no_text(made: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    Image.fromarray(images(1)[0]).save("plain.png")
    try:
        Path("plain.png").rename(name)
    except OSError:
        pytest.skip("this file system takes text alone")
    assert run(["encode", str(made), name, "--out", "codes.csv"]) == 0
    assert "caf\\udce9.png," in Path("codes.csv").read_text("utf-8")


def test_the_test_split_and_strangers(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # What the decoder makes it can explain; a checkerboard it cannot.
    pictures = open_run(made).reconstruct(torch.arange(20))[:, 0].clamp(-1, 1).numpy()
    checker = np.indices((SIDE, SIDE)).sum(0) % 2 * 2.0 - 1
    np.savez("two.npz", x_train=pictures[:5], x_test=np.concatenate([pictures, checker[None]]))
    assert run(["encode", str(made), "two.npz", "--split", "test"]) == 0
    said = capsys.readouterr().out
    assert "21 codes of 4 numbers" in said
    assert re.search(r"Warning: \d+ of 21 do not fit the run, .*: two\[20\] \(residual", said)
    with Image.open("codes-worst.png") as picture:
        # The first tile of 8 x 8 pixels, zoomed by 8, behind a line of 2.
        worst = np.asarray(picture)[6:66:8, 6:66:8]
    assert np.array_equal(worst, (checker + 1) * 127.5)


def test_vectors_with_missing_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = np.random.default_rng(0).normal(5, 9, size=(20, 6)).astype(np.float32)
    assert train(save_data(tmp_path, rows), tmp_path / "run") == 0
    rows[3, 2:] = np.nan
    np.save("holes.npy", rows)
    capsys.readouterr()
    assert run(["encode", "run", "holes.npy"]) == 0
    assert "Pictures" not in capsys.readouterr().out
    opened = open_run("run")
    known = torch.from_numpy(~np.isnan(rows)).float()
    wanted = opened.standardize(Dataset(rows=rows, name="holes")).batch(np.arange(20))
    truth = encode(opened, wanted, prepare_search(opened), mask=known)
    with np.load("codes.npz") as file:
        np.testing.assert_allclose(file["codes"], truth.codes, atol=1e-5)
        np.testing.assert_allclose(file["residual"], truth.residuals, rtol=1e-4)
    rows[3] = np.nan
    np.save("holes.npy", rows)
    assert run(["encode", "run", "holes.npy"]) == 2
    assert "Every value of holes[3] is missing; leave it out." in capsys.readouterr().err
    Image.fromarray(images(1)[0]).save("image.png")
    assert run(["encode", "run", "image.png"]) == 2
    said = capsys.readouterr().err
    assert "FILES are images, but run was trained on vectors of 6 numbers" in said
    np.save("images.npy", images())
    assert run(["encode", "run", "images.npy"]) == 2
    assert "images has images of 1 x 8 x 8, but run was trained on vectors" in (
        capsys.readouterr().err
    )
    np.save("wide.npy", rows[:3, :5])
    assert run(["encode", "run", "wide.npy"]) == 2
    assert "wide has vectors of 5, but" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "No FILES were given; name image files"),
        (["imaeg.png"], "There is no file or folder 'imaeg.png'. Did you mean 'image.png'?"),
        (["image.png", "data.npy"], "data.npy is neither an image file nor a folder"),
        (["image.png", "--split", "test"], "Image files have no 'test' split"),
        (["broken.png"], "None of FILES can be read (broken.png: not an image"),
        (["vectors.npy"], "vectors has vectors of 6, but"),
        (["image.png", "--limit", "0"], "limit is 0; "),
        (["image.png", "--out", "codes.txt"], "--out is codes.txt; it must be a file that ends in"),
    ],
)
def test_refusals(
    made: Path, tmp_path: Path, words: list[str], part: str, refuse_unchanged: Refuse
) -> None:
    Image.fromarray(images(1)[0]).save("image.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("no image either")
    (tmp_path / "empty").mkdir()
    np.save("vectors.npy", np.zeros((4, 6), np.float32))
    save_data(tmp_path)
    refuse_unchanged(["encode", str(made), *words], part)


def test_a_run_without_errors_has_no_anomaly_scores(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made, tmp_path / "run")
    (tmp_path / "run" / "errors.safetensors").unlink()
    data = save_data(tmp_path, images(5, seed=2))
    assert run(["encode", "run", data]) == 0
    assert "no anomaly scores" in capsys.readouterr().out
    with np.load("codes.npz") as file:
        assert sorted(file) == ["codes", "converged", "names", "residual", "steps"]
    assert not Path("codes-errors.png").exists()


def test_parquet_needs_its_library(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("glo.errors.find_spec", lambda name: None)
    assert run(["encode", str(made), "mnist", "--out", "codes.parquet"]) == 2
    assert "codes.parquet needs pyarrow, which is not installed" in capsys.readouterr().err


def test_a_folder_too_large_for_memory_is_decoded_to_the_cache_and_taken_away(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_images(Path("many"), 6)
    opened = open_run(made)
    whole = open_inputs(opened, ["many"])
    for module in ("glo.workflows.inputs", "glo.data.storage"):
        monkeypatch.setattr(f"{module}.MAX_MEMORY_BYTES", 6 * SIDE * SIDE)
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    seen = open_inputs(opened, ["many"])
    (room,) = (tmp_path / "cache").iterdir()
    rows = np.arange(6)
    assert torch.equal(seen.dataset.batch(rows), whole.dataset.batch(rows))
    assert (seen.names, seen.files) == (whole.names, whole.files)
    del seen
    gc.collect()
    assert not room.exists()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "file"))
    assert run(["encode", str(made), "many"]) == 2
    assert run(["encode", str(made), "many", "--limit", "5"]) == 0


def test_one_pass_of_an_encoder_has_no_anomaly_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_data(tmp_path, images(40))
    assert train(data, tmp_path / "run", "--encoder", "on") == 0
    words = ["encode", str(tmp_path / "run"), data, "--limit", "5", "--out", "codes.npz"]
    assert run([*words, "--search", "encoder"]) == 0
    said = capsys.readouterr().out
    with np.load("codes.npz") as file:
        assert sorted(file) == ["codes", "converged", "names", "residual", "steps"]
    assert "anomaly score" not in said.replace("anomaly scores are", "")
    assert run(words) == 0
    with np.load("codes.npz") as file:
        assert "anomaly" in file


def test_notes_name_conversions_and_no_option_of_training(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 30), (90, 100, 90)).save("wide.png")
    assert run(["encode", str(made), "wide.png", "--out", "a.csv"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Note: ")]
    assert ["gray" in note for note in notes] == [True, False]
    assert "40 x 30" in notes[1]
    assert "--" not in " ".join(notes)


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def test_a_stopped_command_continues_if_it_is_repeated(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refuse: Refuse,
) -> None:
    monkeypatch.setattr("glo.workflows.encode.batch_rows", lambda _=1: 3)
    data, words = save_data(tmp_path, images(8, seed=2)), ["encode", str(made)]
    assert run([*words, data, "--out", "whole.npz"]) == 0
    encoded = list[int]()

    def stop_at(*given: object, rows: torch.Tensor, **options: object) -> object:
        encoded.extend(rows.tolist())
        if limit is not None and int(rows[-1]) >= limit:
            raise KeyboardInterrupt
        return encode_dataset(*given, rows=rows, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("glo.workflows.encode.encode_dataset", stop_at)
    limit: int | None = 5
    assert run([*words, data, "--out", "codes.npz"]) == 130
    assert not Path("codes.npz").exists()
    assert "3 of 8" in capsys.readouterr().err
    Path("other").mkdir()
    other = save_data(tmp_path / "other", images(8, seed=5))
    refuse([*words, other, "--out", "codes.npz"], "another input")
    refuse([*words, data, "--search", "full", "--out", "codes.npz"], "another search")
    limit = None
    encoded.clear()
    assert run([*words, data, "--out", "codes.npz"]) == 0
    assert encoded == [3, 4, 5, 6, 7]
    assert not Path("codes.npz.parts").exists()
    found, wanted = _read(Path("codes.npz")), _read(Path("whole.npz"))
    for name, column in wanted.items():
        np.testing.assert_array_equal(found[name], column)


def test_two_processes_encode_like_one(made: Path, tmp_path: Path) -> None:
    # Two parts: the borders do not depend on the number of processes.
    folder, words = tmp_path / "many", ["encode", str(made), str(tmp_path / "many")]
    (first, *_) = save_images(folder)
    for copy in range(2100):
        os.link(folder / first, folder / f"copy-{copy}.png")
    broken = folder / "copy-7.png"
    broken.unlink()
    broken.write_bytes((folder / first).read_bytes()[:60])
    assert run([*words, "--out", "one.npz"]) == 0
    done = torchrun("-m", "glo", *words, "--out", tmp_path / "two.npz", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("codes of 4 numbers") == 1
    assert done.stderr.count(f"Skipped {broken}") == 1
    assert not Path("two.npz.parts").exists()
    found, wanted = _read(Path("two.npz")), _read(Path("one.npz"))
    assert sorted(found) == sorted(wanted)
    for name in ("names", "converged"):
        np.testing.assert_array_equal(found[name], wanted[name])
    np.testing.assert_allclose(found["codes"], wanted["codes"], atol=1e-5)
