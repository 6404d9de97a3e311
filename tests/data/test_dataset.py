import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glo.data import Dataset, to_uint8
from glo.errors import UserError, UserTypeError

IMAGES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])),
)


@given(IMAGES)
def test_bytes_come_back_from_a_batch(rows):
    samples = Dataset(rows=rows, name="x")
    index = np.arange(len(rows))[::-1].copy()
    batch = samples.batch(index)
    assert batch.dtype == torch.float32
    assert batch.shape == (len(rows), *samples.shape)
    assert batch.abs().max() <= 1
    assert np.array_equal(to_uint8(batch), rows[::-1])


@given(IMAGES)
def test_index_may_be_a_tensor(rows):
    samples = Dataset(rows=rows, name="x")
    index = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(samples.batch(index), samples.batch(index.numpy()))


def test_pixel_values_are_exact():
    rows = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    batch = Dataset(rows=rows, name="x").batch(np.arange(256)).flatten()
    assert torch.equal(batch, torch.arange(256) / 127.5 - 1)
    assert batch[0] == -1
    assert batch[255] == 1


def test_grey_batch_is_contiguous_and_colour_batch_channels_last():
    grey = Dataset(rows=np.zeros((4, 8, 8, 1), np.uint8), name="x").batch(np.arange(4))
    assert grey.stride() == (64, 64, 8, 1)
    colour = Dataset(rows=np.zeros((4, 8, 8, 3), np.uint8), name="x").batch(np.arange(4))
    assert colour.is_contiguous(memory_format=torch.channels_last)


def test_batch_does_not_share_memory_with_the_rows():
    rows = np.ones((3, 2), np.float32)
    Dataset(rows=rows, name="x").batch(np.arange(3)).zero_()
    assert (rows == 1).all()


def test_vectors_with_nan():
    rows = np.array([[1, np.nan], [2, 3]], np.float32)
    samples = Dataset(rows=rows, name="x")
    assert samples.batch(np.array([0])).tolist() == [[1, 0]]
    assert samples.observed(np.array([0, 1])).tolist() == [[1, 0], [1, 1]]
    assert Dataset(rows=rows[1:], name="x").observed(np.array([0])) is None


def test_mask_of_images():
    missing = np.zeros((2, 4, 5, 1), bool)
    missing[1, 2, 3] = True
    samples = Dataset(rows=np.zeros((2, 4, 5, 3), np.uint8), missing=missing, name="x")
    observed = samples.observed(np.array([1, 0]))
    assert observed.shape == (2, 1, 4, 5)
    assert observed.dtype == torch.float32
    assert observed[0, 0, 2, 3] == 0
    assert observed.sum() == 39


def test_rows_cannot_be_written():
    samples = Dataset(rows=np.zeros((2, 4, 4, 1), np.uint8), name="x")
    with pytest.raises(ValueError, match="read-only"):
        samples.rows[0] = 1


def test_subset_takes_everything_along():
    rows = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    labels = np.array([0, 1, 0, 1, 0, 1])
    samples = Dataset(
        rows=rows, labels=labels, label_names=("a", "b"), missing=rows > 3, name="x", skipped=("s",)
    )
    shard = samples.subset(np.arange(1, 6, 2))
    assert np.shares_memory(shard.rows, rows)
    assert shard.labels.tolist() == [1, 1, 1]
    assert shard.missing.ravel().tolist() == [False, False, True]
    assert (shard.name, shard.label_names, shard.skipped) == ("x", ("a", "b"), ("s",))
    assert samples.subset(torch.tensor([5, 0, 0])).rows.ravel().tolist() == [5, 0, 0]
    assert len(samples.subset(np.array([], np.int64))) == 0


@pytest.mark.parametrize("index", [[0, 6], [2, 4, 6], [6]])
def test_row_out_of_range_is_an_error(index):
    samples = Dataset(rows=np.zeros((6, 1, 1, 1), np.uint8), name="x")
    with pytest.raises(IndexError):
        samples.batch(np.array(index))
    with pytest.raises(IndexError):
        samples.subset(np.array(index))


@pytest.mark.parametrize("index", [np.zeros((2, 2), int), np.array([0.5]), np.array([True])])
def test_odd_index_is_refused(index):
    with pytest.raises(UserTypeError, match="row index"):
        Dataset(rows=np.zeros((6, 1, 1, 1), np.uint8), name="x").batch(index)


@given(IMAGES)
def test_fingerprint_is_of_the_content(rows):
    first = Dataset(rows=rows, name="x").fingerprint
    assert len(first) == 16
    assert Dataset(rows=rows.copy(), name="y").fingerprint == first
    assert Dataset(rows=np.asfortranarray(rows), name="y").fingerprint == first
    other = rows.copy()
    other[-1, 0, 0, 0] ^= 1
    assert Dataset(rows=other, name="x").fingerprint != first
    assert Dataset(rows=rows.reshape(-1, 1, 1, 1), name="x").fingerprint != first or (
        rows.shape[1:] == (1, 1, 1)
    )


def test_fingerprint_of_a_large_set_sees_its_ends():
    rows = np.zeros((70, 1024, 1024, 1), np.uint8)
    first = Dataset(rows=rows, name="x").fingerprint
    rows[-1, 0, 0, 0] = 1
    assert Dataset(rows=rows, name="x").fingerprint != first


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"rows": np.zeros((2, 4, 4, 2), np.uint8)}, UserError, "C 1 or 3"),
        ({"rows": np.zeros((2, 4, 4), np.uint8)}, UserError, "C 1 or 3"),
        ({"rows": np.zeros((2, 4, 4, 1), np.float32)}, UserTypeError, "uint8"),
        ({"rows": np.zeros((2, 4), np.float64)}, UserTypeError, "float32"),
        ({"rows": np.zeros((2, 4), ">f4")}, UserTypeError, "float32"),
        ({"rows": np.zeros((2, 0), np.float32)}, UserError, "at least one"),
        ({"labels": np.zeros(2, np.int32)}, UserTypeError, "int64"),
        ({"labels": np.zeros(3, np.int64)}, UserError, r"shape \(2,\)"),
        ({"labels": np.array([0, -1])}, UserError, "from 0"),
        ({"labels": np.array([0, 1]), "label_names": ("a",)}, UserError, "1 names"),
        ({"missing": np.zeros((2, 4, 4, 1), np.uint8)}, UserTypeError, "bool"),
        ({"missing": np.zeros((2, 4, 4, 3), bool)}, UserError, "mask has shape"),
        (
            {"rows": np.zeros((2, 4), np.float32), "missing": np.zeros((2, 4), bool)},
            UserError,
            "NaN",
        ),
    ],
)
def test_parts_that_do_not_fit(parts, error, words):
    with pytest.raises(error, match=words):
        Dataset(**{"rows": np.zeros((2, 4, 4, 1), np.uint8), "name": "x", **parts})


def test_to_uint8_rounds_clips_and_survives_nan():
    pixels = torch.tensor([-5.0, -1.0, 0.0, 0.999, 5.0, float("nan"), float("inf")])
    out = to_uint8(pixels.reshape(1, 1, 1, -1))
    assert out.shape == (1, 1, 7, 1)
    assert out.ravel().tolist() == [0, 0, 128, 255, 255, 128, 255]
