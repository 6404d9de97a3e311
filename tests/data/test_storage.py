import tracemalloc

import numpy as np
import pytest

from glo.data import Dataset
from glo.data.storage import RowWriter, check_space, join_ids, to_ids
from glo.errors import UserError


@pytest.fixture
def saved(tmp_path):
    rng = np.random.default_rng(0)
    dataset = Dataset(
        rows=rng.integers(0, 256, (7, 8, 8, 3), dtype=np.uint8),
        labels=np.arange(7) % 2,
        label_names=("cat", "dög"),
        missing=rng.random((7, 8, 8, 1)) < 0.5,
        name="pets",
        skipped=("a.png: truncated",),
    )
    dataset.save(tmp_path / "set")
    return dataset, tmp_path / "set"


def test_all_parts_are_saved_and_rows_stay_on_disk(saved):
    dataset, folder = saved
    again = Dataset.open(folder)
    assert np.array_equal(again.labels, dataset.labels)
    assert np.array_equal(again.missing, dataset.missing)
    assert (again.name, again.label_names) == ("pets", ("cat", "dög"))
    assert again.skipped == dataset.skipped
    assert again.fingerprint == dataset.fingerprint
    assert again.is_mapped
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_vectors_and_views_can_be_saved(tmp_path):
    rows = np.array([[1, np.nan], [2, 3], [4, 5]], np.float32)
    Dataset(rows=rows, name="t").subset(np.array([0, 2])).save(tmp_path / "t")
    again = Dataset.open(tmp_path / "t")
    assert np.array_equal(again.rows, rows[::2], equal_nan=True)
    assert again.labels is None


def test_an_older_dataset_is_replaced_even_by_itself(saved):
    _, folder = saved
    Dataset.open(folder).subset(np.arange(3)).save(folder)
    assert len(Dataset.open(folder)) == 3
    assert len(list(folder.parent.iterdir())) == 1


def test_another_folder_is_not_replaced(tmp_path):
    (tmp_path / "keep.txt").write_text("text")
    with pytest.raises(UserError, match=tmp_path.name):
        Dataset(rows=np.zeros((1, 2), np.float32), name="t").save(tmp_path)
    assert (tmp_path / "keep.txt").read_text() == "text"


def test_a_failure_leaves_the_older_dataset(saved, monkeypatch):
    dataset, folder = saved

    def fail(self, folder):
        (folder / "half").touch()
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "write", fail)
        with pytest.raises(OSError, match="disk full"):
            dataset.save(folder)
    assert len(Dataset.open(folder)) == 7
    assert len(list(folder.parent.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": "glo-samples-1"}',
        '{"format": "glo-samples-1", "name": 3, "label_names": [], "skipped": []}',
        '{"format": "glo-samples-1", "name": "x", "label_names": [1], "skipped": []}',
        '{"format": "glo-samples-9", "name": "x", "label_names": [], "skipped": []}',
    ],
)
def test_damaged_metadata(saved, text):
    (saved[1] / "samples.json").write_text(text)
    with pytest.raises(UserError, match=r"samples\.json"):
        Dataset.open(saved[1])


def test_damaged_files(saved):
    _, folder = saved
    path = folder / "rows.npy"
    content = path.read_bytes()
    for bad in (content[:-1], content + b"x", content[:50], b"", None):
        path.unlink() if bad is None else path.write_bytes(bad)
        with pytest.raises(UserError, match=r"rows\.npy"):
            Dataset.open(folder)
    path.write_bytes(content)
    np.save(folder / "labels.npy", np.arange(3))
    with pytest.raises(UserError, match="labels"):
        Dataset.open(folder)


@pytest.mark.parametrize("on_disk", [True, False])
def test_row_writer(tmp_path, on_disk):
    chunks = [np.full((n, 2, 3), n, np.float32) for n in (1, 4, 2)]
    chunks.append(np.arange(6, dtype=np.float32).reshape(1, 3, 2).transpose(0, 2, 1))
    with RowWriter(tmp_path if on_disk else None, (2, 3), np.float32, max_rows=10) as writer:
        for chunk in chunks:
            writer.append(chunk)
        rows = writer.finish()
    assert np.array_equal(rows, np.concatenate(chunks))
    assert not on_disk or np.array_equal(np.load(tmp_path / "rows.npy"), rows)


def test_space(tmp_path):
    check_space(None, 2**30 - 1)
    for folder, size in ((None, 2**30), (tmp_path, 2**70)):
        with pytest.raises(UserError, match="GLO_CACHE"):
            check_space(folder, size)


def test_row_numbers_are_joined_as_arrays():
    numbers = np.arange(100_000)
    tracemalloc.start()
    ids = join_ids([numbers, numbers])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ids.tolist() == [*range(100_000)] * 2
    assert peak < 2.5 * ids.nbytes
    assert join_ids([numbers[:1], to_ids(["a"])]).tolist() == [0, "a"]
