"""Columns of tables: index, labels, features, and those of an earlier reading."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest

from glo.data import Dataset, SourceOptions, open_source
from glo.data.reading import Reading
from glo.errors import UserError

ABC = Reading(columns=("a", "b", "c"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def frame(n: int = 4) -> pandas.DataFrame:
    rng = np.random.default_rng(0)
    return pandas.DataFrame(rng.normal(size=(n, 3)).round(2), columns=list("abc"))


def write(text: str) -> str:
    Path("t.csv").write_text(text, "utf-8")
    return "t.csv"


def ids(dataset: Dataset) -> list[Any] | None:
    return None if dataset.ids is None else dataset.ids.tolist()


def again(source: Any, reading: Reading) -> Dataset:
    return open_source(source, SourceOptions(reading=reading))


def mentions(dataset: Dataset, *words: str) -> bool:
    return any(all(word in note for word in words) for note in dataset.notes)


INDICES: list[tuple[Any, list[Any] | None]] = [
    (pandas.RangeIndex(4), None),
    (pandas.RangeIndex(5, 9), ["5", "6", "7", "8"]),
    ([5, 9, 7, 8], ["5", "9", "7", "8"]),
    (["x", "y", "z", "w"], ["x", "y", "z", "w"]),
    (pandas.Index([0.5, 1.5, 2.5, 3.5]), ["0.5", "1.5", "2.5", "3.5"]),
    (pandas.Index(["x", "y", "z", "w"], name="who"), ["x", "y", "z", "w"]),
    (pandas.MultiIndex.from_product([[1, 2], ["a", "b"]]), ["1, a", "1, b", "2, a", "2, b"]),
]


@pytest.mark.parametrize("kind", ["frame", "parquet"])
@pytest.mark.parametrize(("index", "expected"), INDICES)
def test_the_index_of_a_frame_identifies_rows(kind, index, expected):
    table = frame().set_axis(index)
    table.to_parquet("t.parquet")
    dataset = open_source(table if kind == "frame" else "t.parquet")
    np.testing.assert_array_equal(dataset.rows, frame().to_numpy(np.float32))
    assert ids(dataset) == expected
    assert dataset.reading.columns == ("a", "b", "c")


@pytest.mark.parametrize(("index", "expected"), [each for each in INDICES if each[1] is not None])
def test_an_index_written_to_csv_identifies_rows(index, expected):
    table = frame().set_axis(index)
    if table.index.nlevels > 1 or table.index.name:
        table.to_csv("t.csv", index_label=["who", "part"][: table.index.nlevels])
        dataset = open_source("t.csv?index=who" + "&without=part" * (table.index.nlevels > 1))
        expected = [each[0] for each in expected] if table.index.nlevels > 1 else expected
    else:
        table.to_csv("t.csv")
        dataset = open_source("t.csv")
        assert mentions(dataset, "index")
        # Read and passed on, the column has a name that pandas made.
        assert ids(open_source(pandas.read_csv("t.csv"))) == expected
    np.testing.assert_array_equal(dataset.rows, frame().to_numpy(np.float32))
    assert ids(dataset) == expected


def test_an_unnamed_column_can_be_left_out_or_taken():
    frame().set_axis([3, 4, 6, 5]).to_csv("t.csv")
    assert open_source("t.csv?without=''").ids is None
    assert open_source("t.csv?columns='',b").rows[:, 0].tolist() == [3, 4, 6, 5]


def test_an_index_keeps_its_texts():
    assert ids(open_source(write("id,x\n007,1\n8,2\n"), SourceOptions())) is None
    assert ids(open_source("t.csv?index=id")) == ["007", "8"]
    assert ids(open_source("t.csv?index=id", SourceOptions(limit=1))) == ["007"]
    assert ids(open_source(write("id,x\n5,1\n,2\n") + "?index=id")) == ["5", "row 1"]


def test_a_column_that_counts_the_rows_is_mentioned():
    dataset = open_source(write("sample_id,x\n1,3\n2,3\n3,4\n"))
    assert mentions(dataset, "SOURCE?index=sample_id")
    assert not mentions(open_source(write("sample_id,x\n1,3\n2,3\n9,4\n")), "SOURCE")
    assert not mentions(open_source(write("power,x\n1,3\n2,3\n3,4\n")), "SOURCE")


@pytest.mark.parametrize(
    ("text", "spec", "labels", "names"),
    [
        ("x,label\n1,1.0\n2,\n3,0.0\n", "", [1, -1, 0], ("0", "1")),
        ("x,Class\n1,-1\n2,1\n", "", [0, 1], ("-1", "1")),
        ("x,LABELS\n1,b\n2, \n", "", [0, -1], ("b",)),
        ("x,label\n1,1\n2, \n3,0\n", "", [1, -1, 0], ("0", "1")),
        ("x,k\n1,0.5\n2,1\n", "?label=k", [0, 1], ("0.5", "1")),
        ("x,k\n1,2024-01-02\n2,2023-01-02\n", "?label=k", [1, 0], ("2023-01-02", "2024-01-02")),
        ("x,k\n1,NA\n2,b\n", "?label=k", [0, 1], ("NA", "b")),
        ("x,k\n1,NA\n2,b\n", "?label=k&missing=NA", [-1, 0], ("b",)),
        ("x,k\n1,True\n2,False\n", "?label=k", [1, 0], ("False", "True")),
    ],
)
def test_columns_of_labels(text, spec, labels, names):
    dataset = open_source(write(text) + spec)
    assert dataset.shape == (1,)
    assert dataset.labels is not None
    assert (dataset.labels.tolist(), dataset.label_names) == (labels, names)
    count = f"{labels.count(-1)} without" if -1 in labels else names[0]
    assert mentions(dataset, "labels from column", dataset.reading.label, count)


def test_a_column_of_measurements_is_no_column_of_labels():
    dataset = open_source(write("x,class\n1,0.5\n2,1\n3,\n"))
    assert (dataset.labels, dataset.shape) == (None, (2,))
    assert mentions(dataset, "SOURCE?label=class")
    assert open_source("t.csv?label=none").shape == (2,)


def test_numbers_of_other_types():
    table = pyarrow.table(
        {
            "small": pyarrow.array([Decimal("1.25"), None], pyarrow.decimal128(10, 2)),
            "large": pyarrow.array([Decimal("-2.5"), None], pyarrow.decimal256(50, 2)),
            "time": pyarrow.array([1500, None], pyarrow.duration("ms")),
            "flag": [True, None],
            "kind": pyarrow.array([3, None]).dictionary_encode(),
            "pair": pyarrow.array([[1, 2], None], pyarrow.list_(pyarrow.float32(), 2)),
            "list": [[5, 6, 7], [8, None, 9]],
        }
    )
    dataset = open_source(table)
    expected = np.full((2, 10), np.nan)
    expected[0] = [1.25, -2.5, 1.5, 1, 3, 1, 2, 5, 6, 7]
    expected[1, 7:] = [8, np.nan, 9]
    np.testing.assert_array_equal(dataset.rows, expected)
    assert dataset.reading.columns[4:7] == ("kind", "pair[0]", "pair[1]")
    assert mentions(dataset, "time", "seconds")
    turned = again(table.select(["list", *table.column_names[:-1]]), dataset.reading)
    np.testing.assert_array_equal(turned.rows, expected)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1.0], [2.0, 3.0]], "lists of 1 and of 2"),
        ([2**60 + 1, 3], r"2\*\*53.*SOURCE\?index=a%2Cb"),
        ([datetime(2024, 1, 2)] * 2, r"timestamp.*SOURCE\?without=a%2Cb"),
    ],
)
def test_columns_that_are_refused_with_advice_that_works(values, words):
    table = pyarrow.table({"a,b": values, "x": [1, 2]})
    pyarrow.parquet.write_table(table, "t.parquet")
    with pytest.raises(UserError, match=words):
        open_source("t.parquet")
    assert open_source("t.parquet?without=a%2Cb").shape == (1,)


def test_columns_of_a_run_are_matched_by_name():
    table = frame()
    other = table[["c", "a", "b"]].assign(z=3.0, who=list("uvwx"), kind="k")
    other.to_csv("t.csv", index=False)
    other.to_parquet("t.parquet")
    reading = Reading(columns=("a", "b", "c"), label="kind")
    for source in ("t.csv", "t.parquet", other):
        dataset = again(source, reading)
        np.testing.assert_array_equal(dataset.rows, table.to_numpy(np.float32))
        assert dataset.label_names == ("k",)
        assert mentions(dataset, "2 other columns", "z, who")
    assert again(other, ABC).labels is None
    with pytest.raises(UserError, match=r"'b'.*Did you mean 'bb'\?"):
        again(other.rename(columns={"b": "bb"}), ABC)
    with pytest.raises(UserError, match="'b'"):
        again("t.csv?without=b", ABC)
    # A column of the run that is the index of this frame is a feature.
    indexed = again(table.set_index("a"), ABC)
    np.testing.assert_array_equal(indexed.rows, table.to_numpy(np.float32))
    assert indexed.ids is None


def test_columns_without_names_are_taken_by_place():
    values = frame().to_numpy()
    dataset = again(pandas.DataFrame(values), ABC)
    np.testing.assert_array_equal(dataset.rows, values.astype(np.float32))
    assert mentions(dataset, "places")
    named = again(frame(), Reading())
    np.testing.assert_array_equal(named.rows, values.astype(np.float32))
    assert mentions(named, "places")


def test_a_blank_column_of_a_run_is_missing():
    blank = frame().assign(b=None)
    blank.to_csv("t.csv", index=False)
    blank.astype(float).to_parquet("t.parquet")
    for source in (blank, "t.csv", "t.parquet"):
        assert np.isnan(again(source, ABC).rows[:, 1]).all()
        dataset = open_source(source)
        assert dataset.reading.columns == ("a", "c")
        np.testing.assert_array_equal(dataset.rows, frame()[["a", "c"]].to_numpy(np.float32))
        assert mentions(dataset, "without a value", "b")
    with pytest.raises(UserError, match="b"):
        open_source(blank[["b"]])


def numbered(n: int = 60) -> pandas.DataFrame:
    values = np.random.default_rng(0).normal(size=(n, 3))
    return pandas.DataFrame(values, columns=list("abc"))


@pytest.mark.parametrize("mark", [-999, 9999.0, -99])
@pytest.mark.parametrize("kind", ["csv", "parquet", "frame"])
def test_a_number_that_marks_gaps_is_mentioned_with_advice_that_works(kind, mark):
    table = numbered()
    table.loc[::7, "c"] = mark
    source = {"csv": "t.csv", "parquet": "t.parquet", "frame": table}[kind]
    table.to_csv("t.csv", index=False)
    table.to_parquet("t.parquet")
    option = "" if kind == "frame" else f"?missing={mark:g}"
    dataset = open_source(source)
    assert mentions(dataset, f"'c' has {mark:g} 9 times", f"SOURCE{option}" if option else "NaN")
    assert not np.isnan(dataset.rows).any()
    if option:
        filled = open_source(f"{source}{option}")
        assert np.isnan(filled.rows[::7, 2]).all()
        assert np.isnan(filled.rows).sum() == 9
        assert not mentions(filled, "far from")
        assert np.isnan(again(source, filled.reading).rows).sum() == 9


def test_extremes_that_mark_no_gap():
    near = numbered().assign(a=np.linspace(-999, 0, 60), b=np.linspace(900, 999, 60))
    near.loc[:3, "b"] = 999
    once = numbered(300)
    once.loc[4, "a"] = -999
    ones = numbered()
    ones.loc[::7, "c"] = -1
    for table in (near, once, ones):
        assert not mentions(open_source(table), "far from")


@pytest.mark.parametrize(("cell", "shown"), [("inf", "inf"), ("-Infinity", "-inf"), ("1e39", "1e")])
def test_infinity_is_named_with_advice_that_works(cell, shown):
    source = write(f"a,b\n1,2\n{cell},3\n4,4\n")
    with pytest.raises(UserError, match=rf"'a' has {shown}.* in row 3.*SOURCE\?missing=") as caught:
        open_source(source)
    option = str(caught.value).partition("SOURCE")[2].rstrip(".")
    np.testing.assert_array_equal(open_source(f"{source}{option}").rows[:, 0], [1, np.nan, 4])
    table = pandas.DataFrame({"a": [1.0, float(cell)], "b": [2.0, 3.0]})
    with pytest.raises(UserError, match=r"'a' has .* row 1 \(from 0\).*NaN"):
        open_source(table)


def test_messages_on_tables_in_memory_have_no_options():
    table = numbered().assign(kind="x", id=range(60), label=0.5)
    assert mentions(open_source(table.drop(columns="kind")), "'id'", "index of the frame")
    assert not mentions(open_source(table.drop(columns="kind")), "SOURCE")
    for wrong in (
        table,
        numbered().assign(a=[[1]] * 30 + [[1, 2]] * 30),
        numbered().astype({"a": int}).assign(a=2**60 + 1),
        pandas.DataFrame({"Unnamed: 0": [1.5, 2], "": [1, 2], "b": [1, 2]}),
    ):
        with pytest.raises(UserError) as caught:
            open_source(wrong)
        assert "SOURCE" not in str(caught.value)
        assert "frame" in str(caught.value)


def test_the_spelling_of_a_run_is_that_of_later_files():
    first = open_source(write("a;b\n1,5;-\n2,5;3\n4;5\n") + "?missing=-")
    assert (first.reading.decimal, first.reading.missing) == (",", ("-",))
    later = again(
        write("b;a\n-;3\n1.000,5;2\n"), Reading(**{**vars(first.reading), "thousands": "."})
    )
    np.testing.assert_array_equal(later.rows, np.float32([[3, np.nan], [2, 1000.5]]))
    with pytest.raises(UserError, match=r"'0\.5'.*decimal=\."):
        again(write("a,b\n0.5,1\n3,4\n2,3\n"), first.reading)


def test_offsets_that_float32_cannot_hold():
    dates = 2460000.5 + 0.01 * np.arange(60)
    table = pandas.DataFrame({"date": dates, "flux": np.sin(dates)})
    table.to_csv("t.csv", index=False)
    dataset = open_source("t.csv")
    np.testing.assert_array_equal(dataset.rows, table)
    assert mentions(dataset, "float64", "date")
    few = again(table[["flux", "date"]][:2], dataset.reading)
    np.testing.assert_array_equal(few.rows, table[:2])


@pytest.mark.parametrize(
    "metadata",
    [
        "[" * 100_000,
        "[]",
        '{"index_columns": 3}',
        '{"index_columns": [{"kind": "range", "start": 0, "stop": 4, "step": 0}]}',
        '{"index_columns": [{"kind": "range", "start": 0, "stop": 1e300, "step": 1}]}',
        '{"index_columns": [{"kind": "range", "start": 1e30, "stop": 4e30, "step": 1e30}]}',
        '{"index_columns": ["gone", 7]}',
    ],
)
def test_metadata_that_pandas_did_not_write(metadata):
    table = pyarrow.table(frame()).replace_schema_metadata({"pandas": metadata})
    assert open_source(table).ids is None
