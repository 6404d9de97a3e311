"""Codes as tables of pandas and Arrow, there and back."""

import sys
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pytest
import torch
from pyarrow import parquet

import glo
from glo import errors
from glo.cli.app import run as command
from glo.data import Dataset
from glo.decoders.decode import decode
from glo.errors import UserError
from glo.export import codes_from_table, codes_table, read_codes, save_codes
from glo.runs.run import Run


def test_a_table_has_rows_labels_errors_and_codes(pictures: Run) -> None:
    frame = codes_table(pictures).to_pandas()
    assert list(frame) == ["row", "label", "error", "z0", "z1", "z2", "z3"]
    assert frame["row"].tolist() == list(range(40))
    assert frame["label"].tolist() == ["even", "odd"] * 20
    assert pictures.errors is not None
    assert frame["error"].to_numpy().astype(np.float32).tolist() == pictures.errors.tolist()
    assert torch.equal(codes_from_table(frame), pictures.codes)


def test_vectors_without_labels_have_no_such_column(numbers: Run) -> None:
    table = codes_table(numbers)
    assert table.column_names == ["row", "error", "z0", "z1", "z2", "z3"]
    assert table.schema.field("z0").type == pyarrow.float32()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_files_hold_the_codes_bit_for_bit(pictures: Run, tmp_path: Path, ending: str) -> None:
    path = tmp_path / "new" / f"codes.{ending}"
    assert save_codes(pictures, path) == 40
    codes = read_codes(path)
    assert torch.equal(codes, pictures.codes)
    made = decode(pictures.decoder, codes[:3], pictures.settings.precision)
    assert torch.equal(made, pictures.reconstruct(torch.arange(3)))


def test_some_rows_in_their_order(pictures: Run, tmp_path: Path) -> None:
    path, listed = tmp_path / "codes.csv", tmp_path / "rows.txt"
    listed.write_text(f"# of the page\n{pictures.row_ids.format([7, 2])}")
    export = ["export", str(pictures.folder), "--rows", str(listed)]
    assert command([*export, "--codes", str(path)]) == 0
    assert torch.equal(read_codes(path), pictures.codes[[7, 2]])
    assert pandas.read_csv(path)["row"].tolist() == [7, 2]
    assert command(export) == 2
    assert command([*export, "--hub", str(tmp_path / "hub")]) == 2
    assert not (tmp_path / "hub").exists()


def test_what_encode_writes_is_read(pictures: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", Dataset.open(save_blobs(tmp_path)).rows[:3, :, :, 0])
    out = tmp_path / "codes.parquet"
    data = str(tmp_path / "data.npy")
    assert command(["encode", str(pictures.folder), data, "--out", str(out)]) == 0
    table = parquet.read_table(out)
    assert table.column("name").to_pylist() == [f"data[{row}]" for row in range(3)]
    assert read_codes(out).shape == (3, 4)


def save_blobs(folder: Path) -> Path:
    rows = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    Dataset(rows=rows, name="blobs").save(folder / "set")
    return folder / "set"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_takes_and_gives_frames() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 3)).astype("float32")
    frame = pandas.DataFrame(rows, columns=["mass", "height", "age"])
    model = glo.GLO(code_dim=2, width=4, epochs=2, batch_size=16, prior="gaussian")
    model.set_output(transform="pandas").fit(frame)
    assert model.feature_names_in_.tolist() == ["mass", "height", "age"]
    codes = model.transform(frame[:4])
    assert list(codes) == ["glo0", "glo1"]
    assert model.inverse_transform(codes).shape == (4, 3)
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[["age", "height", "mass"]])


def test_codes_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="columns z0, z2, but no z1"):
        codes_from_table(pyarrow.table({"z0": [1.0], "z2": [1.0]}))
    with pytest.raises(UserError, match="columns a, but no z0"):
        codes_from_table(pyarrow.table({"a": [1.0]}))
    with pytest.raises(UserError, match="lacks numbers"):
        codes_from_table(pyarrow.table({"z0": [1.0, None]}))
    (tmp_path / "no.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"no.parquet cannot be read as a table"):
        read_codes(tmp_path / "no.parquet")
    with pytest.raises(UserError, match="not a table of codes"):
        read_codes(tmp_path / "codes.npz")


def test_the_command(
    pictures: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "codes.csv"
    with monkeypatch.context() as patch:
        # A text file needs no library.
        patch.setitem(sys.modules, "pyarrow", None)
        assert command(["export", str(pictures.folder), "--codes", str(out)]) == 0
    assert capsys.readouterr().out == f"40 codes of 4 numbers: {out}\n"
    assert out.read_text("utf-8").splitlines()[0] == "row,label,error,z0,z1,z2,z3"
    assert command(["export", str(pictures.folder), "--codes", str(tmp_path / "c.txt")]) == 2
    assert "give a file that ends in .parquet or .csv" in capsys.readouterr().err


def test_a_missing_library_is_one_sentence(pictures: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs pyarrow, .* pip install .*\[tables\]"):
        codes_table(pictures)
