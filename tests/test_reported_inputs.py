"""Inputs that people have, from the command or call to the right value; one group a section."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.builders import train
from tests.cli.conftest import Refuse, refuse, workdir

import glo
from glo.cli.app import run
from glo.data import open_array
from glo.data.options import SourceOptions
from glo.errors import UserError

__all__ = ["refuse", "workdir"]

GREYS = {"1": 30, "2": 120, "10": 210}
# Steps in which three constant images are learned.
LONG = ["--code-dim", "2", "--width", "4", "--epochs", "120"]


def draw(path: Path, value: Any, shape: tuple[int, ...] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.broadcast_to(np.asarray(value), shape)
    Image.fromarray(pixels.astype(np.uint8 if pixels.max() < 256 else np.uint16)).save(path)


def table(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Make a table of four columns near a plane."""
    rng = np.random.default_rng(seed)
    plane = np.array([[1.0, 0.0, 2.0, -30.0], [0.0, 1.0, 2.0, 20.0]])
    values = rng.normal(size=(n, 2)) @ plane + [0, 5, 100, -3]
    return pd.DataFrame(values, columns=list("abcd"))


def read(frame: pd.DataFrame, path: str, spec: str = "", **kwargs: Any) -> glo.Dataset:
    frame.to_csv(path, **kwargs)
    return glo.open_source(path + spec)


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


# 1. Class names that are numbers.


def test_folders_named_by_numbers_are_classes_of_these_names() -> None:
    """Folders 1, 2 and 10, and samples of each by its name."""
    for name, value in GREYS.items():
        for i in range(10):
            draw(Path(f"data/{name}/{i}.png"), value)
    assert run(["train", "data", *LONG, "--out", "run"]) == 0
    for name, value in GREYS.items():
        assert run(["sample", "run", "--n", "4", "--label", name, "--out", "new.npy"]) == 0
        assert abs(np.load("new.npy").mean() - value) < 40
    assert run(["sample", "run", "--label", "0", "--out", "new.npy"]) == 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_labels_from_1_are_classes_of_these_numbers() -> None:
    """The estimator with y in {1, 2, 3}."""
    y = np.repeat([1, 2, 3], 10)
    images = np.array([30, 120, 210], np.uint8)[y - 1][:, None, None] * np.ones((8, 8), np.uint8)
    model = glo.GLO(code_dim=2, width=4, epochs=120, random_state=0).fit(images, y)
    for label, value in zip((1, 2, 3), (30, 120, 210), strict=True):
        assert abs(model.sample(4, label=label).mean() - value) < 40
    with pytest.raises(UserError):
        model.sample(1, label=0)


# 2. Adding a class folder.


@pytest.mark.parametrize("given", ["new/dog/", "{cwd}/new/dog", "new/../new/dog"])
def test_an_added_class_folder_keeps_its_class(given: str, workdir: Path) -> None:
    """A folder that is itself a class, by relative and absolute paths."""
    for i in range(6):
        draw(Path(f"pets/cat/{i}.png"), 20 + i)
        draw(Path(f"pets/dog/{i}.png"), 200 + i)
        draw(Path(f"new/dog/n{i}.png"), 210 + i)
    assert train("pets", Path("run")) == 0
    assert run(["add", "run", given.format(cwd=workdir)]) == 0
    opened = glo.open_run("run")
    assert opened.label_names == ("cat", "dog")
    assert opened.labels is not None
    assert opened.labels[12:].tolist() == [1] * 6


# 3. Which file is row 5?


def test_a_row_is_found_by_its_file_when_others_cannot_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Files of which some are damaged, so that row numbers differ from the numbers in names."""
    for i in range(12):
        draw(Path(f"people/person{i}.png"), 20 * i)
    for i in (3, 7):
        Path(f"people/person{i}.png").write_bytes(b"no image")
    assert train("people", Path("run")) == 0
    names = [f"person{i}.png" for i in range(12) if i not in (3, 7)]
    assert run(["export", "run", "--codes", "codes.csv"]) == 0
    assert [row["id"] for row in rows_of("codes.csv")] == names
    assert run(["encode", "run", "people/person5.png", "--out", "new.csv"]) == 0
    assert rows_of("new.csv")[0]["name"].endswith("person5.png")
    assert "person5.png" in Path("run/report.html").read_text("utf-8")
    capsys.readouterr()
    assert run(["info", "run"]) == 0
    assert "person7.png" in capsys.readouterr().out
    assert run(["forget", "--yes", "run", "person5.png"]) == 0
    assert run(["export", "run", "--codes", "codes.csv"]) == 0
    assert [row["id"] for row in rows_of("codes.csv")] == [n for n in names if n != "person5.png"]


# 4. A written index.


def test_a_written_index_is_no_feature(capsys: pytest.CaptureFixture[str]) -> None:
    """`to_csv` and `to_parquet` of a frame with an index."""
    frame = table().set_index(pd.Index([f"star{i}" for i in range(60)]))
    frame.to_parquet("index.parquet")
    for dataset in (read(frame, "t.csv"), glo.open_source("index.parquet")):
        assert dataset.shape == (4,)
        assert dataset.ids is not None
        assert dataset.ids[7] == "star7"
    assert read(frame, "t.csv", "?without=''").ids is None
    assert train("t.csv", Path("run")) == 0
    assert "index" in capsys.readouterr().out


# 5. Column order.


def test_columns_of_later_tables_are_matched_by_name(refuse: Refuse) -> None:
    """Imputation of a table with the columns of the run in another order, and renamed."""
    frame = table(240)
    frame[:200].to_csv("train.csv", index=False)
    assert run(["train", "train.csv", "--code-dim", "2", "--epochs", "60", "--out", "run"]) == 0
    gaps = frame[200:].mask(np.arange(160).reshape(40, 4) % 5 == 0)
    gaps[list("dbca")].to_csv("gaps.csv", index=False)
    assert run(["restore", "run", "gaps.csv", "--out", "filled.csv"]) == 0
    filled = pd.read_csv("filled.csv")
    assert list(filled) == list("dbca")
    errors = (filled[list("abcd")].to_numpy() - frame[200:].to_numpy()) / frame.std().to_numpy()
    assert np.sqrt((errors[gaps.isna().to_numpy()] ** 2).mean()) < 0.3
    gaps.rename(columns={"c": "other"}).to_csv("renamed.csv", index=False)
    refuse(["restore", "run", "renamed.csv", "--out", "filled2.csv"], "'c'")


# 6. Masked arrays.


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_masked_values_are_missing() -> None:
    """`numpy.ma` with large values below the mask."""
    values = table().to_numpy()
    mask = np.arange(values.size).reshape(values.shape) % 7 == 0
    masked = np.ma.masked_array(np.where(mask, 1e6, values), mask=mask)
    model = glo.GLO(code_dim=2, width=4, epochs=2, random_state=0).fit(masked)
    assert np.abs(model.inverse_transform(model.transform(masked))).max() < 1e3
    rows = glo.open_source(masked).rows
    np.testing.assert_array_equal(np.isnan(rows), mask)


# 7. Labels as floats.


@pytest.mark.parametrize("spec", ["", "?label=label"])
def test_whole_floats_are_labels(spec: str) -> None:
    """Labels that pandas wrote as 1.0 and 0.0 because one is missing."""
    frame = table().assign(label=np.arange(60) % 2.0)
    frame.loc[5, "label"] = np.nan
    dataset = read(frame, "t.csv", spec, index=False)
    assert dataset.shape == (4,)
    assert dataset.label_names == ("0", "1")
    assert dataset.labels is not None
    assert dataset.labels[:7].tolist() == [0, 1, 0, 1, 0, -1, 0]


# 8. Offsets that float32 cannot hold.


def test_dates_beside_fluxes() -> None:
    """A Julian date and unix seconds: all differ, and are standardized as exactly as others."""
    times = pd.DataFrame({"jd": 2459000.5 + np.arange(60) / 60, "unix": 1.6e9 + np.arange(60.0)})
    dataset = read(pd.concat([times, table()], axis=1), "t.csv", index=False)
    batch = dataset.standardized().batch(np.arange(60)).numpy()
    expected = (times - times.mean()) / times.std(ddof=0)
    np.testing.assert_allclose(batch[:, :2], expected.to_numpy(), atol=1e-3)
    assert train("t.csv", Path("run")) == 0
    assert run(["sample", "run", "--n", "4", "--out", "new.csv"]) == 0
    new = pd.read_csv("new.csv")
    assert new["jd"].between(2459000, 2459002).all()
    assert new["jd"].nunique() == 4


# 9. 12 bits in 16.


def test_12_bits_in_16_bit_files_use_the_whole_range(capsys: pytest.CaptureFixture[str]) -> None:
    """PNG files of 16 bits with values to 4095."""
    values = np.random.default_rng(0).integers(300, 4096, (6, 8, 8))
    values[0, 0, 0] = 4095
    for i, pixels in enumerate(values):
        draw(Path(f"deep/{i}.png"), pixels)
    rows = glo.open_source("deep").rows
    np.testing.assert_allclose(rows[..., 0], values * (255 / 4095), atol=0.51)
    assert train("deep", Path("run")) == 0
    assert capsys.readouterr().out.count("4095 is white") == 1
    dim = glo.open_source("deep", SourceOptions(pixel_range=(0, 65535)))
    assert glo.train(dim, settings=glo.Settings(width=4, code_dim=2, epochs=2), verbose=0).summary
    diagnosis = " ".join(json.loads(Path("run/summary.json").read_text())["diagnosis"])
    for is_set in ("adam", "row", "init = pca"):
        assert f"= {is_set}" not in diagnosis


# 10. Range of new images.


def test_new_images_are_read_in_the_range_of_the_run() -> None:
    """Images in [-1, 1] whose later ones happen to have no negative value."""
    images = np.linspace(-1, 1, 20 * 64, dtype=np.float32).reshape(20, 8, 8)
    np.save("train.npy", images)
    np.save("new.npy", np.full((2, 8, 8), 0.1, np.float32))
    assert train("train.npy", Path("run")) == 0
    reading = glo.open_run("run").reading
    new = glo.open_source("new.npy", SourceOptions(reading=reading))
    assert np.unique(new.rows).tolist() == [140]
    assert run(["encode", "run", "new.npy", "--out", "first.npz"]) == 0
    np.save("new.npy", np.full((2, 8, 8), 140, np.uint8))
    assert run(["encode", "run", "new.npy", "--out", "second.npz"]) == 0
    with np.load("first.npz") as first, np.load("second.npz") as second:
        np.testing.assert_allclose(first["codes"], second["codes"], atol=1e-2)


# 11. Grey first, colour later.


def test_color_after_gray_stays_color(capsys: pytest.CaptureFixture[str]) -> None:
    """70 gray and then 70 color images in a folder."""
    for i in range(70):
        draw(Path(f"mixed/a{i:02}.png"), 100)
        draw(Path(f"mixed/b{i:02}.png"), [200, 60, 20], (8, 8, 3))
    dataset = glo.open_source("mixed")
    assert dataset.shape == (3, 8, 8)
    assert dataset.rows[0, 0, 0].tolist() == [100] * 3
    assert dataset.rows[70, 0, 0].tolist() == [200, 60, 20]
    words = ["--width", "4", "--code-dim", "2", "--epochs", "1", "--out", "run"]
    assert run(["train", "mixed", *words]) == 0
    assert "70 of 140" in capsys.readouterr().out


# 12. Other picture files.


def test_files_of_other_kinds_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 .jpg and 55 .HEIC files without the extra that reads these."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for i in range(5):
        draw(Path(f"photos/{i}.jpg"), 20 * i)
    for i in range(55):
        Path(f"photos/p{i}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    assert train("photos", Path("run")) == 0
    out = capsys.readouterr().out
    assert "55" in out
    assert "heic" in out.lower()
    assert len(glo.open_run("run").codes) == 5


# 13. Torch defaults.


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("mode", ["float64", "no_grad", "inference_mode", "bfloat16"])
def test_any_state_of_torch(mode: str) -> None:
    """A default dtype of float64, no gradients, and tensors of bfloat16."""
    images = torch.rand(8, 8, 8, generator=torch.Generator().manual_seed(0))
    model = glo.GLO(code_dim=2, width=4, epochs=1, random_state=0)
    expected = model.fit(images).transform(images[:2])
    try:
        if mode == "float64":
            torch.set_default_dtype(torch.float64)
        context = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}
        with context.get(mode, torch.enable_grad)():
            given = images.bfloat16() if mode == "bfloat16" else images
            codes = model.fit(given).transform(given[:2])
    finally:
        torch.set_default_dtype(torch.float32)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, expected, atol=0.2 if mode == "bfloat16" else 1e-5)


# 14. A cell that is no number.


def cells(text: str) -> None:
    lines = table().to_csv(index=False).splitlines()
    lines[8] = ",".join([text, *lines[8].split(",")[1:]])
    Path("t.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("cell", ["<0.05", "-", '"0,5"', "#DIV/0!"])
def test_a_cell_that_is_no_number_is_named_with_advice_that_works(
    cell: str, refuse: Refuse
) -> None:
    """One such cell in a column of numbers."""
    cells(cell)
    message = refuse(["train", "t.csv", "--out", "run"], "'a'", cell.strip('"'), "row 9")
    advice = message.split("SOURCE")[1].split(" or ")[0].strip().rstrip(",")
    dataset = glo.open_source(f"t.csv{advice}")
    assert np.isnan(dataset.rows).sum() == np.isnan(dataset.rows[7, 0]) == 1


def test_blanks_are_missing() -> None:
    """One cell of blanks."""
    cells("   ")
    assert np.argwhere(np.isnan(glo.open_source("t.csv").rows)).tolist() == [[7, 0]]


# 15. Sparse matrices.


@pytest.mark.parametrize("layout", ["csr", "csc", "bsr", "dia", "coo"])
def test_sparse_matrices_are_read_as_dense_ones(layout: str) -> None:
    """Files of `scipy.sparse.save_npz`, and the matrices themselves."""
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((12, 6)) < 0.3, rng.normal(size=(12, 6)), 0).astype(np.float32)
    matrix = scipy.sparse.coo_matrix(dense).asformat(layout)
    scipy.sparse.save_npz("s.npz", matrix)
    for source in ("s.npz", matrix):
        np.testing.assert_array_equal(glo.open_source(source).rows, dense)


# 16. Labels of another shape.


@pytest.mark.parametrize("spec", ["", "?label=none"])
def test_values_that_are_no_classes_do_not_prevent_training(
    spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels of shape (60, 14)."""
    values = np.random.default_rng(0).normal(size=(60, 22))
    np.savez("t.npz", x=values[:, :8], y=values[:, 8:])
    assert train(f"t.npz{spec}", Path("run")) == 0
    assert "t.npz" in capsys.readouterr().out.split("epoch 1")[0]
    opened = glo.open_run("run")
    assert opened.labels is None
    assert opened.data.shape == (8,)


# 17. Further refusals, messages and changed bytes.


def test_classes_of_identical_images_have_a_report(capfd: pytest.CaptureFixture[str]) -> None:
    """Folders of one image many times, and of a single one; labels of a row in a hundred."""
    for k in range(4):
        draw(Path(f"single/{k}/0.png"), 60 * k)
        for i in range(6):
            draw(Path(f"same/{k}/{i}.png"), 60 * k)
    frame = table().assign(label=np.where(np.arange(60) % 2, "a", "b"))
    frame.loc[5, "label"] = None
    frame.to_csv("one.csv", index=False)
    for source in ("same", "single", "one.csv"):
        assert train(source, Path(f"run-{source}")) == 0
        assert Path(f"run-{source}/report.html").is_file()
    output = "".join(capfd.readouterr())
    assert "Error" not in output
    assert "sklearn" not in output


def test_an_advised_option_is_accepted(refuse: Refuse) -> None:
    """A column of texts, and the options that its refusal names."""
    frame = table().assign(name=[f"n{i}" for i in range(60)])
    frame.to_csv("t.csv", index=False)
    message = refuse(["train", "t.csv", "--out", "run"], "?without=name")
    options = [part.split()[0].rstrip(",.;") for part in message.split("SOURCE")[1:]]
    assert len(options) == 3
    for option in options:
        assert glo.open_source(f"t.csv{option}").shape == (4,)


def test_restore_keeps_all_other_bytes() -> None:
    """A byte order mark and the line endings of Windows."""
    whole = ("\ufeff" + table().to_csv(index=False)).replace("\n", "\r\n").encode()
    Path("whole.csv").write_bytes(whole)
    lines = whole.split(b"\r\n")
    lines[3] = b",".join([b"", *lines[3].split(b",")[1:]])
    Path("gaps.csv").write_bytes(b"\r\n".join(lines))
    assert train("whole.csv", Path("run")) == 0
    assert run(["restore", "run", "gaps.csv", "--out", "filled.csv"]) == 0
    filled = Path("filled.csv").read_bytes().split(b"\r\n")
    assert len(filled) == len(lines)
    assert filled[:3] + filled[4:] == lines[:3] + lines[4:]
    assert filled[3].endswith(lines[3])
    assert float(filled[3].split(b",")[0])


def test_decimals_are_numbers() -> None:
    """A Parquet column of decimals."""
    values = table().round(3).astype(str)
    columns = {name: pa.array(values[name]).cast(pa.decimal128(12, 3)) for name in ("a", "b")}
    pq.write_table(pa.table(columns), "t.parquet")
    rows: NDArray[Any] = glo.open_source("t.parquet").rows
    np.testing.assert_allclose(rows, values[["a", "b"]].astype(float), rtol=1e-6)


def test_labels_of_minus_and_plus_one() -> None:
    """Labels -1 and 1 of a table and an array, by name."""
    frame = table().assign(side=np.where(np.arange(60) % 3, 1, -1))
    # So that the classifier of codes can find both.
    frame[["a", "b"]] += 9.0 * frame[["side"]].to_numpy()
    dataset = read(frame, "t.csv", "?label=side", index=False)
    array = open_array(table().to_numpy(), labels=frame["side"].to_numpy())
    for each in (dataset, array):
        assert each.label_names == ("-1", "1")
        assert each.labels is not None
        assert each.labels[:4].tolist() == [0, 1, 1, 0]
    assert train("t.csv?label=side", Path("run")) == 0
    assert run(["sample", "run", "--n", "2", "--label", "-1", "--out", "new.csv"]) == 0
