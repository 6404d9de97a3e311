"""Tables as sources: .csv, .parquet and frames; which columns are numbers, labels, images."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from tests.builders import train

from glo import errors
from glo.data import SourceOptions, open_source
from glo.errors import UserError
from glo.runs.run import open_run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
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


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def squares(n: int, sides: tuple[int, ...] = (8,)) -> list[bytes]:
    return [png(np.full((sides[k % len(sides)],) * 2, 20 * k, np.uint8)) for k in range(n)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_hold_numbers_and_a_label(tmp_path: Path, ending: str) -> None:
    table = frame()
    table.loc[3, "mass"] = np.nan
    path = f"animals.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    found = open_source(f"{path}?label=kind")
    assert found.name == "animals"
    assert found.label_names == ("ant", "bee", "cat")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2] * 4
    wanted = table[["mass", "count", "tame"]].to_numpy(np.float32)
    np.testing.assert_array_equal(found.rows, wanted)
    # The second opening is a map of the same.
    again = open_source(f"{path}?label=kind")
    assert again.fingerprint == found.fingerprint
    assert isinstance(again.rows.base, np.memmap | np.ndarray)


def test_columns_are_chosen_in_the_order_given() -> None:
    frame().to_csv("a.csv", index=False)
    found = open_source("a.csv?columns=count,mass&label=kind", SourceOptions(limit=5))
    np.testing.assert_array_equal(found.rows, frame()[["count", "mass"]].to_numpy(np.float32)[:5])
    assert found.labels is not None
    assert len(found.labels) == 5


def test_columns_are_left_out_by_name() -> None:
    frame().assign(label=[0, 1] * 6).to_csv("a.csv", index=False)
    found = open_source("a.csv?without=kind,count")
    np.testing.assert_array_equal(found.rows, frame()[["mass", "tame"]].to_numpy(np.float32))
    assert found.labels is not None
    assert open_source("a.csv?without=kind,label").labels is None
    # Named as the label it is no feature in any case.
    assert open_source("a.csv?without=kind&label=kind").label_names == ("ant", "bee", "cat")


def test_a_column_of_images_is_left_out_by_name() -> None:
    table = pyarrow.table({"a": squares(2), "b": squares(2)[::-1]})
    parquet.write_table(table, "a.parquet")
    assert open_source("a.parquet?without=a").rows[:, 0, 0, 0].tolist() == [20, 0]


def test_the_names_of_a_wide_table_are_not_all_said() -> None:
    wide = pandas.DataFrame(np.zeros((3, 1000)), columns=[f"nm{k}" for k in range(1000)])
    texts = pandas.DataFrame({f"text{k}": ["a", "b", "c"] for k in range(600)})
    wide.assign(sample=["a", "b", "c"]).to_csv("wide.csv", index=False)
    pandas.concat([texts, wide], axis=1).to_csv("both.csv", index=False)
    pandas.concat([texts, wide.iloc[:, :3]], axis=1).to_csv("texts.csv", index=False)
    for source, sentence in [
        ("wide.csv", "sample; leave them out, as SOURCE?without=sample, or name one as SOURCE?"),
        ("wide.csv?label=no", "it has nm0, nm1, nm2, nm3, nm4, nm5, nm6, nm7 and 993 more."),
        ("both.csv", "text6, text7 and 592 more; leave them out, as SOURCE?without=text0,"),
        ("both.csv", ",text6,text7,..., or name one as SOURCE?label=text0."),
        ("texts.csv", "592 more; leave them out, as SOURCE?columns=nm0,nm1,nm2, or name one as "),
    ]:
        with pytest.raises(UserError) as caught:
            open_source(source)
        assert sentence in str(caught.value)
        assert len(str(caught.value)) < 300
    assert open_source("wide.csv?without=sample").shape == (1000,)


def test_frames_and_arrow_tables_are_sources() -> None:
    table = frame().drop(columns="kind").assign(label=[0, 1] * 6)
    for source in (table, table.iloc[::-1].iloc[::-1], pyarrow.table(table)):
        found = open_source(source)  # type: ignore[arg-type]
        assert found.shape == (3,)
        assert found.labels is not None
        assert found.labels.tolist() == [0, 1] * 6
        np.testing.assert_array_equal(found.rows[:, 0], table["mass"].to_numpy(np.float32))


def test_images_in_a_column_of_files() -> None:
    kinds = ["ant", "bee"] * 5
    parquet.write_table(pyarrow.table({"picture": squares(10), "label": kinds}), "a.parquet")
    found = open_source("a.parquet")
    assert found.shape == (1, 8, 8)
    assert found.rows[:, 0, 0, 0].tolist() == [20 * k for k in range(10)]
    assert found.label_names == ("ant", "bee")


def test_images_of_mixed_sizes_are_fitted_and_broken_ones_left_out() -> None:
    files = [*squares(5, (20, 40)), b"no image", None]
    parquet.write_table(pyarrow.table({"img": files, "label": list(range(7))}), "a.parquet")
    found = open_source("a.parquet")
    assert found.shape == (1, 16, 16)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 3, 4]
    assert [sentence.split(":")[0] for sentence in found.skipped] == ["row 5", "row 6"]
    small = open_source("a.parquet", SourceOptions(size=8, channels=3, limit=2))
    assert (len(small), small.shape) == (2, (3, 8, 8))


def test_a_run_is_trained_on_a_table_and_knows_it_again() -> None:
    frame(60).to_parquet("animals.parquet")
    source = "animals.parquet?label=kind"
    assert train(source, Path("run"), "--decoder", "mlp", "--prior", "gaussian") == 0
    run = open_run("run")
    assert run.data.source == source
    made = run.sample(50, label="bee")
    assert made.shape == (50, 3)
    assert open_source(source).fingerprint == run.data.fingerprint


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", r"columns without numbers: kind; leave them out, as SOURCE\?without=kind, or"),
        ("?label=knd", r"has no column 'knd'; it has mass, .* Did you mean 'kind'\?"),
        ("?label=mass&columns=count", "not integers from 0"),
        ("?columns=kind", r"columns without numbers: kind; leave them out, as SOURCE\?columns=a,b"),
        ("?columns=kind,mass", r"leave them out, as SOURCE\?columns=mass, or"),
        ("?without=knd", r"has no column 'knd'; it has mass, .* Did you mean 'kind'\?"),
        ("?without=mass,knd", r"has no column 'knd'"),
        ("?columns=mass&without=kind", "columns to take and columns to leave out; give columns, "),
        ("?without=mass,count,kind,tame", "no column of numbers or images"),
        ("?size=8", "is no column specification; write NAME=VALUE"),
        ("?label=", "is no column specification"),
    ],
)
def test_mistakes_are_one_sentence(words: str, sentence: str) -> None:
    frame().to_csv("a.csv", index=False)
    with pytest.raises(UserError, match=sentence):
        open_source(f"a.csv{words}")


def test_numbers_that_became_names_are_told() -> None:
    rows = np.arange(12.0).reshape(4, 3)[:, [1, 0, 2]]
    np.savetxt("plain.csv", rows, delimiter=",")
    told = "the first line of plain.csv: its numbers were taken as names of columns"
    for _ in range(2):  # the second time from the cache
        found = open_source("plain.csv")
        assert (len(found), found.skipped) == (3, (told,))
    pandas.DataFrame(rows, columns=["a", "1", "2"]).to_csv("named.csv", index=False)
    assert open_source("named.csv").skipped == ()
    # Wavelengths are numbers too, but rise or fall.
    for waves in ([400.5, 401.5, 402.5], [3, 2, 1]):
        pandas.DataFrame(rows, columns=waves).to_csv("waves.csv", index=False)
        assert open_source("waves.csv").skipped == ()
    # A frame has names of its own, which may be numbers.
    assert open_source(pandas.DataFrame(rows)).skipped == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a;b;c\n1;2;3\n", "The first line of a.csv has semicolons and no commas; save the table"),
        ("a;b;c\n1,5;2,5;3,5\n", "has semicolons and no commas; .* points in its numbers"),
        ("a\tb\n1\t2\n", "has tabs and no commas"),
        ("a,b\n1,2,3\n", r"\(.*Expected 2 columns, got 3.*\); check it: .* commas between columns"),
        ("1,2,1\n3,4,5\n", r"two columns of one name, '1'; .* \(the first line of a .csv file"),
    ],
)
def test_other_separators_and_no_names(text: str, sentence: str) -> None:
    Path("a.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        open_source("a.csv")


def test_tables_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match=r"a.parquet cannot be read as a table"):
        open_source("a.parquet")
    with pytest.raises(UserError, match="The table is empty"):
        open_source(frame().iloc[:0])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no column of numbers or images"):
        open_source(pyarrow.table({"label": [1, 2]}))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="lacks the label of row 1"):
        open_source(pyarrow.table({"x": [1.0, 2.0], "label": [0, None]}))  # type: ignore[arg-type]
    two = pyarrow.table({"a": squares(2), "b": squares(2)})
    with pytest.raises(UserError, match=r"2 columns of images: a, b; name one, as SOURCE\?image=a"):
        open_source(two)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no 'test' split"):
        open_source(frame(), SourceOptions(split="test"))  # type: ignore[arg-type]
    np.save("a.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(UserError, match=r"a.npy has no columns to choose from"):
        open_source("a.npy?label=x")
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'glo-torch\[tables\]'"):
        open_source(frame())  # type: ignore[arg-type]


def test_a_name_with_a_question_mark_is_a_name() -> None:
    frame().drop(columns="kind").to_csv("what?.csv", index=False)
    assert open_source("what?.csv").shape == (3,)
