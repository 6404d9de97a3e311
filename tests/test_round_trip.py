"""Random small data sets written to a source, trained on, and found again in all that a run gives.

GLO_EXAMPLES sets the number of data sets; the default is for every day.
"""

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import scipy.sparse
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

import glo
from glo.cli.app import run as command
from glo.config.settings import Settings
from glo.data import open_array
from glo.runs.run import Run, open_run
from glo.workflows.inputs import open_inputs

pytest.importorskip("pyarrow")
datasets = pytest.importorskip("datasets")

_EXAMPLES = int(os.environ.get("GLO_EXAMPLES", "12"))
_SETTINGS = Settings(
    width=4, code_dim=2, batch_size=8, epochs=1, refine_passes=0, prior="gaussian", device="cpu"
)
# Column names that programs and people write, some of them inconvenient.
_NAMES = ["a", "B", "1250.5", "mass, g", "x y", "size&kind", "été", "id2", "99"]

Labels = list[str | None]


@dataclass
class Written:
    """A data set as it was written.

    Attributes:
        source: what is given to `glo.train`.
        later: source of the same rows in another form, for `glo encode`.
        rows: expected rows of the dataset by the identity of the row.
        labels: expected class names by identity; empty without labels.
        hide: writes the table with hidden cells, and returns their places in the text.
    """

    source: Any
    later: str
    rows: dict[str, Any]
    labels: dict[str, str | None] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    later_ids: list[str] = field(default_factory=list)
    table: "CsvTable | None" = None


@dataclass
class CsvTable:
    """The cells of a written .csv file and its dialect."""

    header: list[str]
    cells: list[list[str]]
    separator: str
    decimal: str
    ending: str
    bom: bool
    numbers: list[int]
    spec: str

    def write(self, path: Path, order: list[int] | None = None) -> Path:
        order = list(range(len(self.header))) if order is None else order
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.separator, lineterminator=self.ending)
        writer.writerows([row[k] for k in order] for row in [self.header, *self.cells])
        path.write_bytes(("\ufeff" * self.bom + text.getvalue()).encode())
        return path


# Labels of any type, two to four classes


@st.composite
def label_values(draw: st.DrawFn, n: int, *, gaps: bool) -> tuple[list[Any], Labels]:
    """Draw n labels, None for a gap, and the names of their classes."""
    kinds: dict[str, tuple[list[Any], list[str]]] = {
        "integer": ([10, 2, -1], ["10", "2", "-1"]),
        "float": ([1.0, 0.0, 3.0], ["1", "0", "3"]),
        "digits": (["07", "7", "12"], ["07", "7", "12"]),
        "word": (["cat", "Cat", "pig, wild"], ["cat", "Cat", "pig, wild"]),
        "bool": ([True, False], ["True", "False"]),
    }
    values, names = kinds[draw(st.sampled_from(sorted(kinds)))]
    picks = [k % len(values) for k in range(n)]
    draw(st.randoms(use_true_random=False)).shuffle(picks)
    missing = draw(st.sets(st.integers(0, n - 1), max_size=2)) if gaps else set()
    chosen = [None if k in missing else values[pick] for k, pick in enumerate(picks)]
    spelled = [None if k in missing else names[pick] for k, pick in enumerate(picks)]
    return chosen, spelled


def numbers(rng: np.random.Generator, n: int, columns: int) -> np.ndarray:
    """Return values of several scales, of which float32 could not hold all, with gaps."""
    scale = 10.0 ** rng.integers(-3, 4, columns)
    offset = rng.choice([0.0, 0.0, 1.0, 2_451_545.0], columns) * scale.clip(1)
    values = np.round(offset + scale * rng.normal(size=(n, columns)), 4)
    values[rng.random((n, columns)) < 0.1] = np.nan
    values[np.isnan(values).all(axis=1), 0] = 1.0
    values[0, np.isnan(values).all(axis=0)] = 1.0
    return values


# Tables


@st.composite
def tables(draw: st.DrawFn, folder: Path) -> Written:
    n, f = draw(st.integers(6, 14)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = draw(st.permutations(_NAMES))[:f]
    values = numbers(rng, n, f)
    frame = pandas.DataFrame(values, columns=names)
    spec: dict[str, str] = {}
    labels: Labels = []
    if draw(st.booleans()):
        chosen, labels = draw(label_values(n, gaps=True))
        label = draw(st.sampled_from(["label", "Class", "kind"]))
        place = draw(st.integers(0, f))
        kind = object if any(isinstance(v, str | bool) for v in chosen) else None
        frame.insert(place, label, pandas.Series(chosen, dtype=kind))
        if label == "kind":
            spec["label"] = label
    ids = list(map(str, range(n)))
    index = draw(st.sampled_from(["none", "numbers", "words"]))
    if index != "none":
        ids = [str(1000 + 7 * k) if index == "numbers" else f"row {k}, z" for k in range(n)]
        frame.index = pandas.Index([int(i) for i in ids] if index == "numbers" else ids)
    how = draw(st.sampled_from(["csv", "semicolon", "parquet", "frame", "hugging face"]))
    mark = {"separator": ",", "decimal": "."}
    if how == "semicolon":
        mark = {"separator": ";", "decimal": ","}
    table = None
    text = frame.reset_index(names="") if index != "none" else frame
    if how in ("csv", "semicolon"):
        cells = [[_cell(value, mark["decimal"]) for value in row] for row in text.to_numpy(object)]
        table = CsvTable(
            header=list(text.columns),
            cells=cells,
            ending=draw(st.sampled_from(["\n", "\r\n"])),
            bom=draw(st.booleans()),
            numbers=[list(text.columns).index(name) for name in names],
            spec="".join(f"?{k}={v}" for k, v in spec.items()),
            **mark,
        )
        path = table.write(folder / "data.csv")
    elif how == "hugging face":
        path = folder / "saved"
        datasets.Dataset.from_pandas(frame).save_to_disk(path)
    else:
        path = folder / "data.parquet"
        frame.to_parquet(path)
    # Later the same rows come in another order of columns, with one more.
    later = frame.assign(another=1.5)
    later = later[draw(st.permutations(list(later.columns)))]
    later.to_parquet(folder / "later.parquet")
    source: Any = f"{path}{''.join(f'?{k}={v}' for k, v in spec.items())}"
    if how == "frame" and "label" not in spec:
        source = frame
    return Written(
        source=source,
        later=str(folder / "later.parquet"),
        rows=dict(zip(ids, values, strict=True)),
        labels=dict(zip(ids, labels, strict=True)) if labels else {},
        columns=tuple(name for name in frame.columns if name in names),
        later_ids=ids if index != "none" else [f"later[{k}]" for k in range(n)],
        table=table,
    )


def _cell(value: Any, decimal: str) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return repr(value).replace(".", decimal) if isinstance(value, float) else str(value)


# Arrays


@st.composite
def vectors(draw: st.DrawFn, folder: Path) -> Written:
    n = draw(st.integers(6, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = numbers(rng, n, draw(st.integers(2, 4)))
    how = draw(st.sampled_from(["npy", "npz", "masked", "sparse", "fortran"]))
    labels: Labels = []
    path = folder / "data.npy"
    if how == "npz":
        chosen, labels = draw(label_values(n, gaps=False))
        path = folder / "data.npz"
        np.savez(path, x=values, y=np.array(chosen))
    elif how == "sparse":
        values[np.isnan(values) | (rng.random(values.shape) < 0.5)] = 0
        path = folder / "data.npz"
        form = draw(st.sampled_from(["csr", "csc", "coo", "bsr", "dia"]))
        scipy.sparse.save_npz(path, scipy.sparse.coo_array(values).asformat(form))
    else:
        order = "F" if how == "fortran" else "C"
        np.save(path, np.asarray(values, dtype=draw(st.sampled_from(["<f8", ">f8"])), order=order))
    source: Any = str(path)
    if how == "masked":
        source = np.ma.masked_array(np.nan_to_num(values, nan=1e6), np.isnan(values))
    np.save(folder / "later.npy", values)
    ids = list(map(str, range(n)))
    return Written(
        source=source,
        later=str(folder / "later.npy"),
        rows=dict(zip(ids, values, strict=True)),
        labels=dict(zip(ids, labels, strict=True)) if labels else {},
        later_ids=[f"later[{k}]" for k in range(n)],
    )


@st.composite
def pixel_arrays(draw: st.DrawFn, folder: Path) -> Written:
    n, channels = draw(st.integers(6, 12)), draw(st.sampled_from([1, 3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = rng.random((n, 8, 8, channels))
    # Both ends of the range are in use, but not in the rows that come later.
    share[0, 0, 0], share[0, 0, 1] = 0.0, 1.0
    share[1:] = 0.55 + 0.4 * share[1:]
    ranges = {"unit": (0, 1, "f4"), "symmetric": (-1, 1, "f8"), "uint8": (0, 255, "u1")}
    ranges |= {"twelve": (0, 4095, "u2"), "sixteen": (0, 65535, "u2")}
    low, high, dtype = ranges[draw(st.sampled_from(sorted(ranges)))]
    values = low + share * (high - low)
    values = (np.rint(values) if dtype[0] == "u" else values).astype(dtype)
    rows = np.rint((values.astype(float) - low) * (255 / (high - low))).astype(np.uint8)
    array = values.transpose(0, 3, 1, 2) if draw(st.booleans()) else values
    if channels == 1 and draw(st.booleans()):
        array = values[..., 0]
    chosen, labels = draw(label_values(n, gaps=False))
    how = draw(st.sampled_from(["npy", "npz", "torch", "saved", "idx"]))
    are_bytes = dtype == "u1" and channels == 1 and type(chosen[0]) in (int, float)
    how = "npy" if how == "idx" and not (are_bytes and min(chosen) >= 0) else how
    path = folder / f"data.{'npz' if how == 'npz' else 'npy'}"
    source: Any = str(path)
    if how == "npz":
        np.savez(path, images=array, labels=np.array(chosen))
    elif how == "npy":
        np.save(path, array)
    elif how == "saved":
        open_array(array, labels=np.array(chosen)).save(folder / "saved")
        source = str(folder / "saved")
    elif how == "idx":
        source = str(folder / "digits")
        write_idx(folder / "digits", values[..., 0], np.array(chosen))
    else:
        are_whole = all(type(value) is int for value in chosen)
        items = [(torch.from_numpy(np.array(a)), c) for a, c in zip(array, chosen, strict=True)]
        source = Items(items if are_whole else [item for item, _ in items])
        labels = labels if are_whole else []
    np.save(folder / "later.npy", array[1:])
    ids = list(map(str, range(n)))
    return Written(
        source=source,
        later=str(folder / "later.npy"),
        rows=dict(zip(ids, rows, strict=True)),
        labels=dict(zip(ids, labels, strict=True)) if labels and how != "npy" else {},
        later_ids=[f"later[{k}]" for k in range(n - 1)],
    )


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir()
    for name, array in [("images-idx3", images), ("labels-idx1", labels)]:
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
        (folder / f"train-{name}-ubyte").write_bytes(content)


class Items(torch.utils.data.Dataset[Any]):
    """Items of a list, as a dataset of PyTorch."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Any:
        return self.items[row]


# Folders of image files


@st.composite
def folders(draw: st.DrawFn, folder: Path) -> Written:
    n = draw(st.integers(6, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mode = draw(st.sampled_from(["L", "RGB", "I;16", "twelve", "LA"]))
    classes = draw(st.sampled_from([["1", "2", "10"], ["cat", "Dog, big"], ["0", "-1"], []]))
    root = folder / "pictures"
    rows, labels, files = {}, {}, []
    for k in range(n):
        label = classes[k % len(classes)] if classes else None
        name = f"{label}/im {k * 3}.png" if classes else f"im {k * 3}.png"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        values = rng.random((8, 8, 3 if mode == "RGB" else 1))
        values[0, 0], values[0, 1] = 0.0, 1.0
        if mode in ("I;16", "twelve"):
            white = 65535 if mode == "I;16" else 4095
            deep = np.rint(values * white).astype(np.uint16)
            Image.fromarray(deep[..., 0]).save(root / name)
            rows[name] = np.rint(deep * (255 / white)).astype(np.uint8)
        else:
            pixels = np.rint(values * 255).astype(np.uint8)
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            (image.convert("LA") if mode == "LA" else image).save(root / name)
            rows[name] = pixels
        labels[name] = label
        files.append(name)
    # Files that cannot be read, in between, shift the row numbers.
    if draw(st.booleans()):
        (root / files[1]).write_bytes(b"no image")
        for each in (rows, labels):
            del each[files[1]]
    return Written(
        source=str(root),
        later=str(root),
        rows=rows,
        labels=labels if classes else {},
        later_ids=[str(root / name) for name in rows],
    )


# The way through the program


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder, with the cache in it, as the working folder."""
    before, cache = Path.cwd(), os.environ.get("GLO_CACHE")
    folder = Path(tempfile.mkdtemp())
    os.environ["GLO_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        os.environ.pop("GLO_CACHE")
        if cache is not None:
            os.environ["GLO_CACHE"] = cache
        shutil.rmtree(folder)


def do(*words: str) -> str:
    """Run a command, which must succeed, and return its output."""
    with redirect_stdout(io.StringIO()) as output:
        assert command(list(words)) == 0, words
    return output.getvalue()


def check_run(opened: Run, written: Written) -> list[str]:
    """Check classes, identities and columns of a run, and return the identities of its rows."""
    ids = [opened.row_ids.of(row) for row in range(opened.data.n)]
    assert sorted(ids) == sorted(written.rows)
    for row, name in enumerate(ids):
        # A bare number may be the number of another row.
        assert opened.row_ids.find(f"id:{name}") == row
    if written.labels:
        labels, names = opened.labels, opened.label_names
        assert labels is not None
        found = [None if k < 0 else names[k] for k in labels.tolist()]
        assert dict(zip(ids, found, strict=True)) == written.labels
    else:
        assert opened.labels is None
    assert opened.reading.columns == written.columns
    return ids


def check_rows(rows: np.ndarray, ids: list[str], written: Written) -> None:
    """Check the values of a dataset."""
    expected = np.stack([written.rows[name] for name in ids])
    assert rows.shape == expected.shape
    if rows.dtype == np.uint8:
        # A difference of one is a matter of rounding.
        assert np.abs(rows.astype(int) - expected.astype(int)).max() <= 1
        return
    spread = np.nanstd(expected, axis=0)
    assert np.array_equal(np.isnan(rows), np.isnan(expected))
    error = np.abs(rows - expected) / np.where(spread > 0, spread, np.abs(expected) + 1)
    assert np.nanmax(error) < 2e-3


def check_labels(opened: Run, written: Written, folder: Path) -> None:
    """Check that each class is sampled by its name, and no other one is."""
    classifier, labels = opened.label_classifier, opened.labels
    assert labels is not None
    for name in sorted({label for label in written.labels.values() if label is not None}):
        number = classifier.number(name)
        assert opened.label_names[number] == name
        # A single epoch may leave a class without samples, which is an error of its own.
        samples = opened.prior().sample(1000, seed=0)
        if int((classifier.predict(samples) == number).sum()) < 2:
            continue
        do("sample", str(opened.folder), "--n", "2", f"--label={name}", "--out", "by-label.npy")
        assert len(np.load(folder / "by-label.npy")) == 2


def check_exports(opened: Run, ids: list[str], written: Written) -> None:
    """Check the tables of training codes and of encoded rows."""
    do("export", str(opened.folder), "--codes", "codes.parquet")
    table = pandas.read_parquet("codes.parquet")
    assert table["row"].tolist() == list(range(len(ids)))
    if opened.row_ids.ids is not None:
        assert table["id"].astype(str).tolist() == ids
    if written.labels:
        found = [None if pandas.isna(label) else str(label) for label in table["label"]]
        assert found == [written.labels[name] for name in ids]
    assert np.array_equal(table.filter(regex="^z").to_numpy(np.float32), opened.codes.numpy())
    do("encode", str(opened.folder), written.later, "--out", "later.csv")
    names = pandas.read_csv("later.csv", dtype={"name": str})["name"].tolist()
    assert sorted(names) == sorted(written.later_ids)


def check_later(opened: Run, written: Written) -> None:
    """Check that the same values are read from a later source of another form."""
    inputs = open_inputs(opened, [written.later])
    rows = np.asarray(inputs.dataset.rows)
    names = dict(zip(written.later_ids, list(written.rows)[-len(written.later_ids) :], strict=True))
    check_rows(rows, [names[name] for name in inputs.names], written)


def check_restore(opened: Run, table: CsvTable, folder: Path, rng: np.random.Generator) -> None:
    """Check that a table keeps every byte but those of the hidden cells, in any column order."""
    hidden = rng.random((len(table.cells), len(table.numbers))) < 0.3
    hidden[:, 0] = False
    hidden[0, -1] = True
    hidden &= np.array([[row[k] != "" for k in table.numbers] for row in table.cells])
    cells = [list(row) for row in table.cells]
    for row, place in np.argwhere(hidden):
        cells[row][table.numbers[place]] = ""
    blank = CsvTable(**{**vars(table), "cells": cells})
    if all(row[k] == "" for row in cells for k in table.numbers[1:]):
        return
    if any(all(row[k] == "" for k in table.numbers) for row in cells):
        return
    filled = []
    orders = [list(range(len(table.header))), rng.permutation(len(table.header)).tolist()]
    # An index without a name is known by its place.
    if "" in table.header:
        orders[1] = [0, *[k for k in orders[1] if k != 0]]
    for number, order in enumerate(orders):
        source = blank.write(folder / f"hidden-{number}.csv", order)
        out = folder / f"filled-{number}.csv"
        do("restore", str(opened.folder), f"{source}{table.spec}", "--out", str(out))
        content = out.read_bytes()
        text = content.decode("utf-8-sig")
        result = list(csv.reader(io.StringIO(text, newline=""), delimiter=table.separator))
        values = np.full((len(cells), len(table.numbers)), np.nan)
        again = CsvTable(**{**vars(blank), "cells": [["" for _ in row] for row in cells]})
        for row, line in enumerate(result[1:]):
            for place, k in enumerate(order):
                empty = cells[row][k] == "" and k in table.numbers
                again.cells[row][k] = "" if empty else line[place]
                if empty:
                    number_text = line[place].replace(table.decimal, ".")
                    values[row, table.numbers.index(k)] = float(number_text)
        assert again.cells == cells
        assert again.write(folder / "again.csv", order).read_bytes() == source.read_bytes()
        assert content.startswith(b"\xef\xbb\xbf") == table.bom
        assert content.count(b"\r\n") == (source.read_bytes().count(b"\r\n"))
        filled.append(values)
    assert np.allclose(filled[0], filled[1], rtol=1e-4, equal_nan=True)


def check_forget(opened: Run, ids: list[str], rng: np.random.Generator) -> None:
    """Check that the named rows are removed and no other ones."""
    gone = rng.choice(len(ids), 2, replace=False).tolist()
    codes = opened.codes
    Path("gone.txt").write_text("".join(f"id:{ids[row]}\n" for row in gone), encoding="utf-8")
    do("forget", "--yes", str(opened.folder), "gone.txt")
    again = open_run(opened.folder)
    left = [row for row in range(len(ids)) if row not in gone]
    assert [again.row_ids.of(row) for row in range(again.data.n)] == [ids[row] for row in left]
    assert torch.equal(again.codes, codes[left])


@pytest.mark.parametrize("kind", [tables, vectors, pixel_arrays, folders])
@settings(
    max_examples=_EXAMPLES // 4,
    derandomize="GLO_EXAMPLES" not in os.environ,
    # A smaller example of a failure would take minutes to find.
    phases=[Phase.reuse, Phase.generate],
)
@given(data=st.data())
def test_what_was_written_is_what_the_run_holds(
    kind: Callable[[Path], st.SearchStrategy[Written]], data: st.DataObject
) -> None:
    with workplace() as folder:
        written: Written = data.draw(kind(folder))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        opened = glo.train(
            written.source, settings=_SETTINGS, run_dir="run", callbacks=[], verbose=0
        )
        ids = check_run(opened, written)
        if isinstance(written.source, str):
            check_rows(np.asarray(opened.open_data(command="glo").rows), ids, written)
        check_later(opened, written)
        if written.labels:
            check_labels(opened, written, folder)
        check_exports(opened, ids, written)
        if written.table is not None:
            check_restore(opened, written.table, folder, rng)
        check_forget(opened, ids, rng)
