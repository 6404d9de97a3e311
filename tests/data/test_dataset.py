import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.utils.data import DataLoader, Subset

from glo.data import Dataset, to_uint8
from glo.data.dataset import concatenate
from glo.data.sampler import EpochSampler
from glo.errors import UserError, UserTypeError

IMAGES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])),
)


def pixels(n, channels=1):
    shape = (n, 8, 8, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@given(IMAGES)
def test_pixels_survive_a_batch(rows):
    dataset = Dataset(rows=rows, name="x")
    index = np.arange(len(rows))[::-1].copy()
    batch = dataset.batch(index)
    assert batch.dtype == torch.float32
    assert batch.shape == (len(rows), *dataset.shape)
    assert np.array_equal(to_uint8(batch), rows[::-1])
    assert torch.equal(dataset.batch(torch.from_numpy(index)), batch)


def test_pixel_values_are_exact():
    rows = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    batch = Dataset(rows=rows, name="x").batch(np.arange(256)).flatten()
    assert torch.equal(batch, torch.arange(256) / 127.5 - 1)
    assert (batch[0], batch[255]) == (-1, 1)


def test_gray_batch_is_contiguous_and_color_batch_channels_last():
    gray = Dataset(rows=pixels(4), name="x").batch(np.arange(4))
    assert gray.stride() == (64, 64, 8, 1)
    color = Dataset(rows=pixels(4, 3), name="x").batch(np.arange(4))
    assert color.is_contiguous(memory_format=torch.channels_last)


def test_rows_are_read_only_and_batches_are_copies():
    rows = np.ones((3, 2), np.float32)
    dataset = Dataset(rows=rows, name="x")
    dataset.batch(np.arange(3)).zero_()
    assert (rows == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        dataset.rows[0] = 1


def test_missing_values_of_vectors():
    rows = np.array([[1, np.nan], [2, 3]], np.float32)
    dataset = Dataset(rows=rows, name="x")
    assert dataset.batch(np.array([0])).tolist() == [[1, 0]]
    assert dataset.observed(np.array([0, 1])).tolist() == [[1, 0], [1, 1]]
    assert Dataset(rows=rows[1:], name="x").observed(np.array([0])) is None


def test_missing_pixels():
    missing = np.zeros((2, 4, 5, 1), bool)
    missing[1, 2, 3] = True
    dataset = Dataset(rows=np.zeros((2, 4, 5, 3), np.uint8), missing=missing, name="x")
    observed = dataset.observed(np.array([1, 0]))
    assert (observed.shape, observed.dtype) == ((2, 1, 4, 5), torch.float32)
    assert observed[0, 0, 2, 3] == 0
    assert observed.sum() == 39


def test_subset():
    rows = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    dataset = Dataset(
        rows=rows,
        labels=np.array([0, 1, 0, 1, 0, 1]),
        label_names=("a", "b"),
        missing=rows > 3,
        name="x",
        skipped=("s",),
    )
    shard = dataset.subset(np.arange(1, 6, 2))
    assert np.shares_memory(shard.rows, rows)
    assert shard.labels.tolist() == [1, 1, 1]
    assert shard.missing.ravel().tolist() == [False, False, True]
    assert (shard.name, shard.label_names, shard.skipped) == ("x", ("a", "b"), ("s",))
    assert dataset.subset(torch.tensor([5, 0, 0])).rows.ravel().tolist() == [5, 0, 0]
    assert len(dataset.subset(np.array([], np.int64))) == 0
    both = concatenate(dataset, dataset.subset([5]))
    assert both.labels.tolist() == [0, 1, 0, 1, 0, 1, 1]
    assert both.missing.sum() == 3
    with pytest.raises(UserError, match="shapes"):
        concatenate(dataset, Dataset(rows=pixels(1), name="y"))


@pytest.mark.parametrize("index", [[0, 6], [2, 4, 6], [6]])
def test_row_out_of_range(index):
    dataset = Dataset(rows=np.zeros((6, 1, 1, 1), np.uint8), name="x")
    for select in (dataset.batch, dataset.subset, dataset.__getitems__):
        with pytest.raises(IndexError):
            select(np.array(index))


@pytest.mark.parametrize("index", [np.zeros((2, 2), int), np.array([0.5]), np.array([True])])
def test_row_index_of_another_kind(index):
    with pytest.raises(UserTypeError, match="row index"):
        Dataset(rows=np.zeros((6, 1, 1, 1), np.uint8), name="x").batch(index)


@given(IMAGES)
def test_fingerprint_depends_on_the_content(rows):
    first = Dataset(rows=rows, name="x").fingerprint
    assert len(first) == 16
    assert Dataset(rows=np.asfortranarray(rows), name="y").fingerprint == first
    other = rows.copy()
    other[-1, 0, 0, 0] ^= 1
    assert Dataset(rows=other, name="x").fingerprint != first
    if rows.shape[1:] != (1, 1, 1):
        assert Dataset(rows=rows.reshape(-1, 1, 1, 1), name="x").fingerprint != first


def test_fingerprint_of_a_large_dataset_covers_its_ends():
    rows = np.zeros((70, 1024, 1024, 1), np.uint8)
    first = Dataset(rows=rows, name="x").fingerprint
    rows[-1, 0, 0, 0] = 1
    assert Dataset(rows=rows, name="x").fingerprint != first


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"rows": np.zeros((2, 4, 4, 2), np.uint8)}, UserError, "rows"),
        ({"rows": np.zeros((2, 4, 4), np.uint8)}, UserError, "rows"),
        ({"rows": np.zeros((2, 4, 4, 1), np.float32)}, UserTypeError, "uint8"),
        ({"rows": np.zeros((2, 4), np.float16)}, UserTypeError, "float32"),
        ({"rows": np.zeros((2, 4), ">f4")}, UserTypeError, "float32"),
        ({"rows": np.zeros((2, 0), np.float32)}, UserError, "rows"),
        ({"labels": np.zeros(2, np.int32)}, UserTypeError, "int64"),
        ({"labels": np.zeros(3, np.int64)}, UserError, r"\(2,\)"),
        ({"labels": np.array([0, -2])}, UserError, "-2"),
        ({"labels": np.array([0, 1]), "label_names": ("a",)}, UserError, "names"),
        ({"missing": np.zeros((2, 4, 4, 1), np.uint8)}, UserTypeError, "bool"),
        ({"missing": np.zeros((2, 4, 4, 3), bool)}, UserError, "mask"),
        ({"rows": np.zeros((2, 4), "f"), "missing": np.zeros((2, 4), bool)}, UserError, "NaN"),
    ],
)
def test_parts_that_do_not_fit(parts, error, words):
    with pytest.raises(error, match=words):
        Dataset(**{"rows": np.zeros((2, 4, 4, 1), np.uint8), "name": "x", **parts})


def test_to_uint8_rounds_clips_and_replaces_nan():
    values = torch.tensor([-5.0, -1.0, 0.0, 0.999, 5.0, float("nan"), float("inf")])
    assert to_uint8(values.reshape(1, 1, 1, -1)).ravel().tolist() == [0, 0, 128, 255, 255, 128, 255]


def test_items_are_pairs_of_row_and_example():
    dataset = Dataset(rows=pixels(5), name="x")
    row, example = dataset[-1]
    assert type(row) is int
    assert row == 4
    assert torch.equal(example, dataset.batch([4])[0])
    assert [row for row, _ in dataset] == [0, 1, 2, 3, 4]
    assert [row for row, _ in Subset(dataset, [3, 1])] == [3, 1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_data_loader_gives_the_batches_of_the_dataset(tmp_path, channels, workers, place):
    dataset = Dataset(rows=pixels(11, channels), labels=np.arange(11) % 3, name="x")
    if place == "disk":
        dataset.save(tmp_path / "set")
        dataset = Dataset.open(tmp_path / "set")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = list(DataLoader(dataset, batch_size=4, shuffle=True, num_workers=workers))
    rows = torch.cat([rows for rows, _ in batches])
    assert rows.dtype == torch.int64
    assert rows.sort().values.tolist() == list(range(11))
    for rows, examples in batches:
        assert torch.equal(examples, dataset.batch(rows))
        assert dataset.labels[rows].shape == rows.shape


def test_epoch_sampler_is_a_batch_sampler():
    dataset = Dataset(rows=pixels(10), name="x")
    sampler = EpochSampler(10, 4, seed=3, epoch=1)
    loader = DataLoader(dataset, batch_sampler=sampler)
    assert len(loader) == 3
    for position, (rows, examples) in enumerate(loader):
        assert torch.equal(rows, sampler.batch(position))
        assert torch.equal(examples, dataset.batch(rows))


@pytest.mark.parametrize("index", [slice(None), slice(1, 9, 3)])
def test_memory_mapped_rows_are_pickled_by_their_place(tmp_path, index):
    rows, missing = pixels(500, 3), pixels(500) > 99
    Dataset(rows=rows, missing=missing, name="x").save(tmp_path / "set")
    dataset = Dataset.open(tmp_path / "set").subset(np.arange(500)[index])
    content = pickle.dumps(dataset)
    assert len(content) < 5000
    again = pickle.loads(content)
    assert again.is_mapped
    assert again.fingerprint == dataset.fingerprint
    assert np.array_equal(again.rows, rows[index])
    assert np.array_equal(again.missing, missing[index])
    in_memory = pickle.loads(pickle.dumps(Dataset(rows=rows, name="x")))
    assert np.array_equal(in_memory.rows, rows)
