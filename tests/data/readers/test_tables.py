"""Tables as sources: .csv, .parquet and frames; columns of numbers, labels and images."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from tests.builders import train

from glo import errors
from glo.cli.app import run as main
from glo.data import SourceOptions, open_source
from glo.errors import UserError
from glo.runs.run import open_run
from glo.workflows.inputs import open_inputs


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def frame(n: int = 12) -> pandas.DataFrame:
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "mass": rng.normal(size=n),
            "count": rng.integers(0, 9, n),
            "kind": ["ant", "bee", "cat"] * (n // 3),
            "tame": rng.random(n) < 0.5,
        }
    )


def squares(n: int, sides: tuple[int, ...] = (8,)) -> list[bytes]:
    files = []
    for k in range(n):
        file = io.BytesIO()
        pixels = np.full((sides[k % len(sides)],) * 2, 20 * k, np.uint8)
        Image.fromarray(pixels).save(file, "PNG")
        files.append(file.getvalue())
    return files


def first_pixels(dataset: Any) -> list[int]:
    return dataset.rows[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_numbers_and_a_label(ending):
    table = frame()
    table.loc[3, "mass"] = np.nan
    path = f"animals.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    for _ in range(2):  # the second time from the cache
        dataset = open_source(f"{path}?label=kind")
        assert (dataset.name, dataset.label_names) == ("animals", ("ant", "bee", "cat"))
        assert dataset.labels.tolist() == [0, 1, 2] * 4
        expected = table[["mass", "count", "tame"]].to_numpy(np.float32)
        np.testing.assert_array_equal(dataset.rows, expected)
    assert dataset.is_mapped


def test_columns_are_chosen_and_excluded_by_name():
    table = frame().assign(label=[0, 1] * 6)
    table.to_csv("a.csv", index=False)
    chosen = open_source("a.csv?columns=count,mass&label=kind", SourceOptions(limit=5))
    np.testing.assert_array_equal(chosen.rows, table[["count", "mass"]].to_numpy(np.float32)[:5])
    assert len(chosen.labels) == 5
    rest = open_source("a.csv?without=kind,count")
    np.testing.assert_array_equal(rest.rows, table[["mass", "tame"]].to_numpy(np.float32))
    assert rest.labels is not None
    assert open_source("a.csv?without=kind,label").labels is None
    # A column that is named as the label stays the label.
    assert open_source("a.csv?without=kind&label=kind").label_names == ("ant", "bee", "cat")
    images = pyarrow.table({"a": squares(2), "b": squares(2)[::-1]})
    parquet.write_table(images, "a.parquet")
    assert first_pixels(open_source("a.parquet?without=a")) == [20, 0]


def test_messages_on_wide_tables_are_short():
    wide = pandas.DataFrame(np.zeros((3, 1000)), columns=[f"nm{k}" for k in range(1000)])
    texts = pandas.DataFrame({f"text{k}": ["a", "b", "c"] for k in range(600)})
    wide.assign(sample=["a", "b", "c"]).to_csv("wide.csv", index=False)
    pandas.concat([texts, wide], axis=1).to_csv("both.csv", index=False)
    pandas.concat([texts, wide.iloc[:, :3]], axis=1).to_csv("texts.csv", index=False)
    for source, words in [
        ("wide.csv", "SOURCE?without=sample,"),
        ("wide.csv?label=no", "nm6, nm7 and 993 more."),
        ("both.csv", "text6, text7 and 592 more"),
        ("both.csv", "SOURCE?without=text0,"),
        ("texts.csv", "SOURCE?columns=nm0,nm1,nm2,"),
    ]:
        with pytest.raises(UserError) as caught:
            open_source(source)
        assert words in str(caught.value)
        assert len(str(caught.value)) < 300
    assert open_source("wide.csv?without=sample").shape == (1000,)


def test_frames_and_arrow_tables():
    table = frame().drop(columns="kind").assign(label=[0, 1] * 6)
    for source in (table, table.iloc[::-1].iloc[::-1], pyarrow.table(table)):
        dataset = open_source(source)
        assert dataset.shape == (3,)
        assert dataset.labels.tolist() == [0, 1] * 6
        np.testing.assert_array_equal(dataset.rows[:, 0], table["mass"].to_numpy(np.float32))


def test_columns_of_image_files():
    kinds = ["ant", "bee"] * 5
    parquet.write_table(pyarrow.table({"picture": squares(10), "label": kinds}), "a.parquet")
    dataset = open_source("a.parquet")
    assert (dataset.shape, dataset.label_names) == ((1, 8, 8), ("ant", "bee"))
    assert first_pixels(dataset) == [20 * k for k in range(10)]
    assert open_source("a.parquet?missing=bee").label_names == ("ant",)
    files = [*squares(5, (20, 40)), b"no image", None]
    parquet.write_table(pyarrow.table({"img": files, "label": list(range(7))}), "b.parquet")
    mixed = open_source("b.parquet")
    assert mixed.shape == (1, 16, 16)
    assert mixed.labels.tolist() == [0, 1, 2, 3, 4]
    assert [sentence.split(":")[0] for sentence in mixed.skipped] == ["row 5", "row 6"]
    assert mixed.ids.tolist() == [0, 1, 2, 3, 4]
    assert open_source(pyarrow.table({"img": files[::-1]})).ids.tolist() == [2, 3, 4, 5, 6]
    small = open_source("b.parquet", SourceOptions(size=8, channels=3, limit=2))
    assert (len(small), small.shape) == (2, (3, 8, 8))


def test_a_run_on_a_table():
    frame(60).to_parquet("animals.parquet")
    source = "animals.parquet?label=kind"
    assert train(source, Path("run"), "--decoder", "mlp", "--prior", "gaussian") == 0
    run = open_run("run")
    assert run.data.source == source
    assert run.sample(50, label="bee").shape == (50, 3)
    assert open_source(source).fingerprint == run.data.fingerprint


def test_a_run_opens_its_table_again_and_reads_others_alike():
    table = frame(60).drop(columns="tame").set_axis([f"animal {k}" for k in range(60)])
    table.loc["animal 3", "mass"] = np.nan
    table.to_csv("a.csv", sep=";", decimal=",", na_rep="-")
    source = "a.csv?missing=-&label=kind"
    assert train(source, Path("run"), "--decoder", "mlp", "--prior", "gaussian") == 0
    run = open_run("run")
    assert run.row_ids.of(5) == "animal 5"
    dataset = run.open_data(command="none")
    assert np.isnan(dataset.rows[3, 0])
    other = table.iloc[:3, ::-1].assign(more=1)
    other.to_csv("b.csv", sep="\t", decimal=",", index=False)
    inputs = open_inputs(run, ["b.csv"])
    np.testing.assert_array_equal(inputs.dataset.rows, table.iloc[:3, :2].to_numpy(np.float32))
    assert inputs.dataset.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_dates_are_kept_from_a_table_to_the_results_of_its_run(kind):
    n = 300
    dates = 2_460_000.5 + np.arange(n) / 1440
    fluxes = np.sin(np.linspace(0, 3, n))[:, None] * [1, 2, 3, -1] + 0.01
    table = pandas.DataFrame(fluxes, columns=list("abcd"))
    table = table.assign(date=dates, unix=1.7e9 + 60.0 * np.arange(n))
    table.to_csv("t.csv", index=False)
    table.to_parquet("t.parquet")
    options = ["--decoder", "mlp", "--prior", "gaussian", "--epochs", "30", "--code-dim", "2"]
    assert main(["train", f"t.{kind}", "--out", "run", "--width", "8", *options]) == 0
    run = open_run("run")
    data = run.open_data(command="none")
    np.testing.assert_array_equal(data.rows, table)
    decoded = run.reconstruct(torch.arange(n))
    drawn = run.sample(n)
    assert decoded.dtype == drawn.dtype == torch.float64
    for values, times in ((decoded, 300), (drawn, 250)):
        assert len(values[:, 4].unique()) >= times
        assert len(values[:, 5].unique()) >= times
    span = dates[-1] - dates[0]
    assert (decoded[:, 4] - torch.from_numpy(dates)).abs().mean() < 0.2 * span
    gaps = table.copy()
    gaps.loc[::2, "a"] = np.nan
    gaps.to_csv("gaps.csv", index=False)
    gaps.to_parquet("gaps.parquet")
    assert main(["restore", "run", f"gaps.{kind}", "--out", f"filled.{kind}"]) == 0
    read = pandas.read_csv if kind == "csv" else pandas.read_parquet
    filled = read(f"filled.{kind}")
    np.testing.assert_array_equal(filled.drop(columns="a"), table.drop(columns="a"))
    assert filled["a"].notna().all()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", r"kind; .*SOURCE\?without=kind"),
        ("?label=knd", r"'knd'; .* Did you mean 'kind'\?"),
        ("?columns=kind", "no column of numbers or images, but kind"),
        ("?columns=kind,mass", r"SOURCE\?columns=mass"),
        ("?without=mass,knd", "'knd'"),
        ("?columns=mass&without=kind", "columns=mass&without=kind"),
        ("?without=mass,count,kind,tame", "no column of numbers or images"),
        ("?size=8", "NAME=VALUE"),
        ("?label=", "NAME=VALUE"),
    ],
)
def test_column_specifications_that_cannot_be_used(spec, words):
    frame().to_csv("a.csv", index=False)
    with pytest.raises(UserError, match=words):
        open_source(f"a.csv{spec}")


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_a_first_line_of_numbers_is_a_row(order):
    rows = (np.arange(12.0) * 1.5).reshape(4, 3)[:, order]
    np.savetxt("plain.csv", rows, delimiter=",")
    for _ in range(2):  # the second time from the cache
        dataset = open_source("plain.csv")
        np.testing.assert_array_equal(dataset.rows, rows)
        assert dataset.reading.columns == ()
        assert any("first line" in note for note in dataset.notes)
    assert open_source("plain.csv?columns=column3,column1").rows[:, 0].tolist() == [*rows[:, 2]]
    # By place, whatever their names.
    named = pandas.DataFrame(rows, columns=["u", "v", "w"])
    again = open_source(named, SourceOptions(reading=dataset.reading))
    np.testing.assert_array_equal(again.rows, rows)
    assert open_source(named.set_axis([0, 1, 2], axis=1)).reading.columns == ()


@pytest.mark.parametrize(
    "names",
    [
        ["a", "1", "2"],
        ["a", "2.5", "1.5"],
        [2019, 2020, 2021],
        [0, 1, 2],
        [400.5 + k for k in range(8)],
        [400.5 - k for k in range(8)],
    ],
)
def test_a_first_line_of_numbers_that_are_names(names):
    rows = np.arange(4.0 * len(names)).reshape(4, -1)
    pandas.DataFrame(rows, columns=names).to_csv("named.csv", index=False)
    dataset = open_source("named.csv")
    np.testing.assert_array_equal(dataset.rows, rows)
    assert dataset.reading.columns in ((), tuple(map(str, names)))
    assert any("first line" in note for note in dataset.notes)


def test_names_that_look_like_a_row_are_chosen_as_columns():
    Path("a.csv").write_text("400.5,410.5\n1,2\n3,5\n")
    assert len(open_source("a.csv")) == 3
    named = open_source("a.csv?columns=400.5,410.5")
    assert (len(named), named.reading.columns) == (2, ("400.5", "410.5"))
    assert len(open_source("a.csv", SourceOptions(reading=named.reading))) == 2


def test_flowers_without_names_of_columns():
    lines = ["5.1,3.5,1.4,setosa", "4.9,3.0,1.4,setosa", "7.0,3.2,4.7,versicolor"]
    Path("iris.data.csv").write_text("\n".join(lines))
    with pytest.raises(UserError, match="first line") as caught:
        open_source("iris.data.csv")
    options = re.findall(r"SOURCE(\?(?:without|label|index)=\S+?)[,.]? ", f"{caught.value} ")
    assert len(options) == 3
    for option in options:
        dataset = open_source(f"iris.data.csv{option}")
        np.testing.assert_array_equal(dataset.rows[0], np.float32([5.1, 3.5, 1.4]))
        assert len(dataset) == 3
    assert open_source(f"iris.data.csv{options[1]}").label_names == ("setosa", "versicolor")
    with pytest.raises(UserError, match="column1"):
        open_source("iris.data.csv?label=species")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n1,2,3\n", "Expected 2 columns, got 3"),
        ("a,b,a\n3,4,5\n", "'a'"),
        ("A title\n\na,b,c\n1,2,3\n4,5,6\n", "'A title'"),
        ("a,b\n1,2,\n3,4,\n", "delete the ',' at the end"),
        ("a,,b\n1,2,3\n", r"SOURCE\?without=''"),
        ("caf\xe9,b\n1,2\n", "iconv"),
        ("a,label\n1,caf\xe9\n2,x\n", "iconv"),
        ("a,b\0\n1,2\n", "UTF-8"),
        ("", "empty"),
        ("a,b\n", "empty"),
    ],
)
def test_text_that_is_no_table(text, words):
    Path("a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=words):
        open_source("a.csv")


def test_tables_that_cannot_be_used(monkeypatch):
    Path("a.parquet").write_bytes(b"no table")
    np.save("a.npy", np.zeros((2, 3), np.float32))
    two = pyarrow.table({"a": squares(2), "b": squares(2)})
    for source, words in [
        ("a.parquet", "a.parquet"),
        (frame().iloc[:0], "empty"),
        (pyarrow.table({"label": [1, 2]}), "no column of numbers or images"),
        (two, r"a, b; name one, with frame\[\['a'\]\]"),
        ("a.npy?label=x", "a.npy has no columns"),
    ]:
        with pytest.raises(UserError, match=words):
            open_source(source)
    with pytest.raises(UserError, match="'test' split"):
        open_source(frame(), SourceOptions(split="test"))
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"\[tables\]"):
        open_source(frame())


def test_a_question_mark_in_a_name():
    frame().drop(columns="kind").to_csv("what?.csv", index=False)
    assert open_source("what?.csv").shape == (3,)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["07", "7", "12"], ("07", "7", "12")),
        (["1.0", "", "0.0"], ("0", "1")),
        (["1", "10", "2"], ("1", "2", "10")),
        (
            ["12345678901234567", "12345678901234568", ""],
            ("12345678901234567", "12345678901234568"),
        ),
        (["True", "False", "True"], ("False", "True")),
    ],
)
@pytest.mark.parametrize("column", ["label", "Class", "zone"])
def test_labels_of_a_csv_file_keep_their_texts_where_these_are_no_numbers(column, texts, names):
    rows = "".join(f"{row},{text}\n" for row, text in enumerate(texts))
    Path("t.csv").write_text(f"a,{column}\n{rows}")
    dataset = open_source("t.csv?label=zone" if column == "zone" else "t.csv")
    assert sorted(dataset.label_names) == sorted(names)
    found = [dataset.label_names[k] if k >= 0 else "" for k in dataset.labels]
    assert found == [text.removesuffix(".0") for text in texts]


@pytest.mark.parametrize(
    "table",
    [
        pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "a"]),
        pandas.DataFrame({"a": [1.0, "x"]}),
    ],
)
def test_frames_that_arrow_cannot_hold(table):
    with pytest.raises(UserError, match="The table cannot be read"):
        open_source(table)


def test_a_table_of_images_keeps_index_and_missing_labels_for_later_tables(tmp_path):
    path = tmp_path / "images.parquet"
    content = io.BytesIO()
    Image.new("L", (8, 8)).save(content, "PNG")
    columns = {"image": [content.getvalue()] * 3, "code": ["a", "b", "c"], "label": [0, 1, 9]}
    parquet.write_table(pyarrow.table(columns), path)
    first = open_source(f"{path}?index=code&missing=9", cache=tmp_path / "cache")
    later = open_source(path, SourceOptions(reading=first.reading), cache=tmp_path / "cache")
    assert later.ids.tolist() == first.ids.tolist() == ["a", "b", "c"]
    assert later.labels.tolist() == first.labels.tolist() == [0, 1, -1]
