import json

import numpy as np
import pytest

from glo.data import Dataset
from glo.errors import UserError


@pytest.fixture
def saved(tmp_path):
    rng = np.random.default_rng(0)
    samples = Dataset(
        rows=rng.integers(0, 256, (7, 8, 8, 3), dtype=np.uint8),
        labels=np.arange(7) % 2,
        label_names=("cat", "dög"),
        missing=rng.random((7, 8, 8, 1)) < 0.5,
        name="pets",
        skipped=("a.png: truncated",),
    )
    samples.save(tmp_path / "set")
    return samples, tmp_path / "set"


def test_all_comes_back_and_rows_stay_on_disk(saved):
    samples, folder = saved
    again = Dataset.open(folder)
    assert np.array_equal(again.rows, samples.rows)
    assert np.array_equal(again.labels, samples.labels)
    assert np.array_equal(again.missing, samples.missing)
    assert again.name == "pets"
    assert again.label_names == ("cat", "dög")
    assert again.skipped == samples.skipped
    assert again.fingerprint == samples.fingerprint
    assert isinstance(again.rows.base, np.memmap) or not again.rows.flags.owndata
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_vectors_and_views_can_be_saved(tmp_path):
    rows = np.array([[1, np.nan], [2, 3], [4, 5]], np.float32)
    Dataset(rows=rows, name="t").subset(np.array([0, 2])).save(tmp_path / "t")
    again = Dataset.open(tmp_path / "t")
    assert np.array_equal(again.rows, rows[::2], equal_nan=True)
    assert again.labels is None


def test_older_set_is_replaced_even_by_itself(saved):
    _, folder = saved
    Dataset.open(folder).subset(np.arange(3)).save(folder)
    assert len(Dataset.open(folder)) == 3
    assert len(list(folder.parent.iterdir())) == 1


def test_something_else_is_not_replaced(tmp_path):
    (tmp_path / "keep.txt").write_text("mine")
    samples = Dataset(rows=np.zeros((1, 2), np.float32), name="t")
    with pytest.raises(UserError, match="something else"):
        samples.save(tmp_path)
    assert (tmp_path / "keep.txt").read_text() == "mine"


def test_failure_leaves_nothing(saved, monkeypatch):
    samples, folder = saved

    def fail(self, room):
        (room / "half").touch()
        raise OSError("disk full")

    monkeypatch.setattr(Dataset, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        samples.save(folder)
    monkeypatch.undo()
    assert len(Dataset.open(folder)) == 7
    assert len(list(folder.parent.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        "{}",
        '{"format": "glo-samples-1"}',
        '{"format": "glo-samples-1", "name": 3, "label_names": [], "skipped": []}',
        '{"format": "glo-samples-1", "name": "x", "label_names": [1], "skipped": []}',
        '{"format": "glo-samples-9", "name": "x", "label_names": [], "skipped": []}',
    ],
)
def test_damaged_facts(saved, text):
    _, folder = saved
    (folder / "samples.json").write_text(text)
    with pytest.raises(UserError, match=r"samples\.json"):
        Dataset.open(folder)


def test_damaged_files(saved):
    _, folder = saved
    whole = (folder / "rows.npy").read_bytes()
    for bad in (whole[:-1], whole + b"x", whole[:50], b""):
        (folder / "rows.npy").write_bytes(bad)
        with pytest.raises(UserError, match=r"rows\.npy"):
            Dataset.open(folder)
    (folder / "rows.npy").unlink()
    with pytest.raises(UserError, match=r"rows\.npy"):
        Dataset.open(folder)


def test_parts_of_different_lengths(saved):
    _, folder = saved
    np.save(folder / "labels.npy", np.arange(3))
    with pytest.raises(UserError, match="labels"):
        Dataset.open(folder)


def test_facts_are_plain_json(saved):
    _, folder = saved
    assert json.loads((folder / "samples.json").read_text())["name"] == "pets"
