"""`glo restore` of a run of vectors: tables filled, and mistakes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.builders import images, save_data
from tests.cli.conftest import Refuse

import glo
from glo.cli.app import run

N, F = 60, 5
NAMES = ["mass", "wing", "left, leg", "tail", "beak"]


def table(seed: int, n: int = N) -> NDArray[np.float64]:
    """Rows near a plane of two dimensions, in columns of several units."""
    rng = np.random.default_rng(seed)
    plane = np.array([[1, 2, 0, -1, 1], [0, 1, 3, 1, -2.0]])
    rows = rng.normal(size=(n, 2)) @ plane + 0.01 * rng.normal(size=(n, F))
    return np.asarray(rows * [1, 10, 0.1, 1000, 1] + [0, 50, 1, 0, -3])


def with_gaps(seed: int, n: int = 20) -> NDArray[np.float64]:
    rows = table(seed, n)
    rows[np.random.default_rng(seed).random(rows.shape) < 0.2] = np.nan
    rows[:2, 1:3], rows[2] = np.nan, table(seed, n)[2]
    return rows


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of vectors."""
    folder = tmp_path_factory.mktemp("birds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        data = save_data(folder, table(0))
        words = ["--code-dim", "2", "--width", "8", "--epochs", "60", "--batch-size", "16"]
        assert run(["train", data, *words, "--out", str(folder / "run")]) == 0
    return folder / "run"


def by_estimator(birds: Path, rows: Any) -> NDArray[np.float64]:
    """Fill rows as the page on missing values does."""
    model = glo.load(birds)
    made = model.inverse_transform(model.transform(rows))
    return np.where(np.isnan(rows), made, rows)


def test_an_array_is_filled_as_the_estimator_fills_it(
    birds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = with_gaps(1)
    gaps = np.isnan(rows)
    np.save("birds.npy", rows)
    assert run(["restore", str(birds), "birds.npy"]) == 0
    said = capsys.readouterr()
    filled = np.load("restored.npy")
    assert filled.dtype == np.float64
    assert np.array_equal(filled[~gaps], rows[~gaps])
    np.testing.assert_allclose(filled, by_estimator(birds, rows), rtol=1e-5, atol=1e-6)
    whole, spread = table(1, 20), table(0).std(0)
    assert np.sqrt((((filled - whole) / spread)[gaps] ** 2).mean()) < 0.3
    count = gaps.any(1).sum()
    assert f"{gaps.sum()} missing values in {count} of 20 rows imputed: restored.npy\n" in said.out
    assert f" of {count} searches converged" in said.out
    assert "apart" not in said.out
    assert said.err == f"imputing: {count} of {count}\n"


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet"])
@pytest.mark.parametrize("out", ["a.npy", "a.csv", "new/a.parquet"])
def test_every_kind_goes_into_every_kind(birds: Path, ending: str, out: str) -> None:
    rows = with_gaps(2, 6)
    if ending == ".npy":
        np.save("in.npy", rows)
    elif ending == ".npz":
        np.savez("in.npz", x_test=rows, x_train=rows[:1])
    else:
        frame = pandas.DataFrame(rows, columns=NAMES)
        write: Any = frame.to_csv if ending == ".csv" else frame.to_parquet
        write(f"in{ending}", index=False)
    more = ["--split", "test"] if ending == ".npz" else []
    assert run(["restore", str(birds), f"in{ending}", *more, "--out", out]) == 0
    wanted = by_estimator(birds, rows)
    if out.endswith(".npy"):
        found = np.load(out)
    else:
        frame = pandas.read_csv(out) if out.endswith(".csv") else pandas.read_parquet(out)
        named = ending in (".csv", ".parquet")
        assert list(frame) == (NAMES if named else [f"x{place}" for place in range(F)])
        found = frame.to_numpy()
    known = ~np.isnan(rows)
    assert np.array_equal(found[known], rows[known])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_cells_of_a_table_stay_as_they_are_written(birds: Path) -> None:
    lines = [
        'id,mass,wing,"left, leg",tail,beak,seen',
        "900719925474099312,0.10,NA,1.250,-3e2,-3.00,2024-01-02",
        '7,,50,,+1.5,-2,"a ""b"", c"',
        "8,0.5,55,1.2,100,-3,",
    ]
    Path("in.csv").write_text("\n".join(lines) + "\n", "utf-8")
    chosen = "in.csv?columns=mass,wing,left leg,tail,beak".replace("left leg", "leg")
    text = Path("in.csv").read_text("utf-8").replace('"left, leg"', "leg")
    Path("in.csv").write_text(text, "utf-8")
    assert run(["restore", str(birds), chosen]) == 0
    before, after = text.splitlines(), Path("restored.csv").read_text("utf-8").splitlines()
    assert after[0] == before[0]
    assert after[1].startswith("900719925474099312,0.10,")
    assert after[1].endswith(",1.250,-3e2,-3.00,2024-01-02")
    assert after[2].startswith("7,")
    assert after[2].endswith(',+1.5,-2,"a ""b"", c"')
    assert after[3] == before[3]
    made = [after[1].split(",")[2], *after[2].split(",")[1:4:2]]
    # As many digits as tell one float32 from another.
    assert all(str(np.float32(number)) == number for number in made)


def test_columns_beside_the_numbers_go_into_parquet(birds: Path) -> None:
    frame = pandas.DataFrame(with_gaps(3, 8), columns=NAMES)
    frame.insert(0, "kind", ["ant", None, "cat", "dog"] * 2)
    frame["tail"] = frame["tail"].round().astype("Int64")
    frame["beak"] = 1.0
    frame.to_parquet("in.parquet")
    assert run(["restore", str(birds), "in.parquet?label=kind", "--limit", "6"]) == 0
    found = pandas.read_parquet("restored.parquet")
    assert list(found) == list(frame)
    assert found["kind"].fillna("none").tolist() == ["ant", "none", "cat", "dog", "ant", "none"]
    known = frame["tail"].notna()[:6]
    assert found["tail"].dtype == np.float64
    assert found["tail"][known].tolist() == frame["tail"][:6][known].tolist()
    assert not found[NAMES].isna().any().any()
    assert run(["restore", str(birds), "in.parquet?label=kind", "--out", "a.npy"]) == 0
    assert np.load("a.npy").shape == (8, F)


def test_a_column_without_any_number_is_filled(birds: Path) -> None:
    Path("in.csv").write_text("a,b,c,d,e\n1,,1.2,,-3\n", "utf-8")
    assert run(["restore", str(birds), "in.csv"]) == 0
    wanted = by_estimator(birds, np.array([[1, np.nan, 1.2, np.nan, -3]]))
    found = pandas.read_csv("restored.csv")
    np.testing.assert_allclose(found.to_numpy(), wanted, rtol=1e-5)


def test_several_answers_are_averaged(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("in.npy", with_gaps(4))
    assert run(["restore", str(birds), "in.npy", "--out", "one.npy"]) == 0
    assert run(["restore", str(birds), "in.npy", "--n-solutions", "8", "--out", "eight.npy"]) == 0
    assert ", 8 solutions 0." in capsys.readouterr().out
    one, eight = np.load("one.npy"), np.load("eight.npy")
    assert not np.array_equal(one, eight)
    known = ~np.isnan(with_gaps(4))
    assert np.array_equal(one[known], eight[known])


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "so glo restore imputes one table, and 0 were given"),
        (["in.npy", "in.csv"], "one table, and 2 were given"),
        (["mnist"], "mnist is not a table; give a .csv"),
        (["images.npy"], "images.npy has an array of 20 x 8 x 8; give rows of numbers"),
        (["wide.npy"], "wide.npy has 6 columns of numbers, but "),
        (["wide.csv"], "trained on vectors of 5 numbers; give as many, of a table as SOURCE?col"),
        (["words.csv"], "words.csv has columns without numbers: kind; leave them out, as SOURCE?"),
        (["whole.npy"], "whole.npy has no missing values"),
        (["empty.npy"], "Every value of empty[3] is missing; leave it out."),
        (["inf.npy"], "inf.npy has infinity"),
        (["in.npy", "--out", "in.npy"], "--out is in.npy, the incomplete table itself"),
        (["in.npy", "--out", "a.txt"], "--out is a.txt; it must be a file that ends in .csv, "),
        (["in.npy", "--split", "test"], "in.npy has no 'test' split"),
        (["in.npy", "--n-solutions", "0"], "n_solutions is 0"),
        (["in.npy", "--task", "deblur"], "--task is for runs of images, and "),
        (["in.npy", "--hole", "left"], "--hole is for runs of images, and "),
        (["in.npy", "--simulate"], "--simulate is for runs of images, and "),
    ],
)  # fmt: skip
def test_refusals(birds: Path, words: list[str], part: str, refuse_unchanged: Refuse) -> None:
    rows = table(5, 6)
    np.save("whole.npy", rows)
    rows[1, 1] = np.nan
    np.save("in.npy", rows)
    rows[2, 2] = np.inf
    np.save("inf.npy", rows)
    rows[3] = np.nan
    np.save("empty.npy", np.where(np.isinf(rows), 0, rows))
    np.save("wide.npy", table(5, 6)[:, [0, 1, 2, 3, 4, 4]])
    np.save("images.npy", images())
    Image.fromarray(images(1)[0]).save("image.png")
    Path("in.csv").write_text("a,b,c,d,e\n1,,1.2,,-3\n")
    Path("wide.csv").write_text("a,b,c,d,e,f\n1,,1.2,,-3,5\n")
    Path("words.csv").write_text("a,b,c,d,e,kind\n1,,1.2,,-3,ant\n")
    Path("broken.csv").write_text("a,b,c,d,e\n1,,1.2\n")
    refuse_unchanged(["restore", str(birds), *words], part)


@pytest.mark.parametrize(("source", "out"), [("long.npy", "a.parquet"), ("large.csv", "a.npy")])
def test_numbers_that_the_file_cannot_hold(birds: Path, source: str, out: str) -> None:
    np.save("long.npy", with_gaps(5).astype(np.longdouble))
    Path("large.csv").write_text("a,b,c,d,e\n1,9007199254740993,1.2,,-3\n,1,2,3,4\n")
    assert run(["restore", str(birds), source, "--out", out]) == 2
    assert not Path(out).exists()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a table with names, labels and an index."""
    folder = tmp_path_factory.mktemp("named")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        frame = pandas.DataFrame(table(0), columns=NAMES).assign(kind=["ant", "bee"] * (N // 2))
        frame.set_axis([f"bird {k}" for k in range(N)]).to_csv(folder / "birds.csv")
        words = ["--code-dim", "2", "--width", "8", "--epochs", "60", "--batch-size", "16"]
        source = f"{folder}/birds.csv?label=kind"
        assert run(["train", source, *words, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_columns_are_matched_by_name(
    named: Path, ending: str, refuse: Refuse, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = with_gaps(2, 6)
    frame = pandas.DataFrame(rows, columns=NAMES)
    frame = frame[frame.columns[::-1]].assign(more=7.5, kind="ant").set_axis(list("uvwxyz"))
    getattr(frame, f"to_{ending}")(f"in.{ending}")
    assert run(["restore", str(named), f"in.{ending}"]) == 0
    assert "more" in capsys.readouterr().err
    if ending == "csv":
        found = pandas.read_csv("restored.csv", index_col=0)
    else:
        found = pandas.read_parquet("restored.parquet")
    assert list(found.index) == list("uvwxyz")
    assert list(found) == list(frame)
    expected = by_estimator(named, pandas.DataFrame(rows, columns=NAMES))
    np.testing.assert_allclose(found[NAMES], expected, rtol=1e-5, atol=1e-6)
    renamed = frame.rename(columns={"beak": "beaks"})
    getattr(renamed, f"to_{ending}")(f"in.{ending}")
    refuse(["restore", str(named), f"in.{ending}"], "'beak'", "Did you mean 'beaks'?")


def test_parquet_keeps_schema_and_metadata(named: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    frame = pandas.DataFrame(with_gaps(2, 6), columns=NAMES).assign(kind="ant")
    frame["tail"] = frame["tail"].round().astype("Int64")
    frame["mass"] = frame["mass"].astype("float32")
    before = pyarrow.Table.from_pandas(frame.set_axis(list("uvwxyz")))
    before = before.replace_schema_metadata({**before.schema.metadata, b"by": b"me"})
    parquet.write_table(before, "in.parquet")
    assert run(["restore", str(named), "in.parquet"]) == 0
    after = parquet.read_table("restored.parquet")
    place = before.schema.get_field_index("tail")
    expected = before.schema.set(place, pyarrow.field("tail", pyarrow.float64()))
    assert after.schema.equals(expected)
    assert after.schema.metadata[b"by"] == b"me"
    found = after.to_pandas()
    assert list(found.index) == list("uvwxyz")
    assert found["tail"].dtype == np.float64


def test_samples_have_the_names_of_the_columns(named: Path) -> None:
    for ending in ("csv", "parquet", "tsv"):
        assert run(["sample", str(named), "--n", "3", "--out", f"a.{ending}"]) == 0
    assert list(pandas.read_csv("a.csv")) == NAMES
    assert list(pandas.read_parquet("a.parquet")) == NAMES
    assert list(pandas.read_csv("a.tsv", sep="\t")) == NAMES
    assert run(["walk", str(named), "0", "1", "--out", "walk.csv"]) == 0
    assert list(pandas.read_csv("walk.csv")) == ["line", "step", "z0", "z1", *NAMES]


def test_an_interrupt_writes_nothing_and_the_file_before_stays(
    birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("in.npy", with_gaps(6))
    Path("restored.csv").write_text("mine")

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    words = ["restore", str(birds), "in.npy", "--out", "restored.csv"]
    files = {"in.npy", "restored.csv"}
    for place in ("glo.workflows.impute.encode_batches", "glo.data.table_writer._write_csv"):
        with monkeypatch.context() as patch:
            patch.setattr(place, stop)
            assert run(words) == 130
        assert Path("restored.csv").read_text() == "mine"
        assert {path.name for path in tmp_path.iterdir()} <= {*files, "restored.csv.parts"}
    # The rows are imputed, and are read when the command is repeated.
    assert (tmp_path / "restored.csv.parts").is_dir()
    monkeypatch.setattr("glo.workflows.impute.encode_batches", stop)
    assert run(words) == 0
    assert {path.name for path in tmp_path.iterdir()} == files
    assert pandas.read_csv("restored.csv").shape == (20, F)


def test_the_speed_of_vectors_is_in_examples(
    named: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", str(named)]) == 0
    assert " examples/s" in capsys.readouterr().out


def test_labels_of_a_later_table_are_no_note(
    named: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pandas.DataFrame(with_gaps(2, 6), columns=NAMES).assign(kind="ant", more=1.5)
    frame.to_csv("in.csv", index=False)
    assert run(["restore", str(named), "in.csv"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Note: ")]
    assert len(notes) == 1
    assert "more" in notes[0]
