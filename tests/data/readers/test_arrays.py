import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glo.data import SourceOptions, open_array, open_source
from glo.errors import UserError, UserTypeError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 9, 3), dtype=np.uint8)
REAL = ["u1", "i2", ">u2", "i8", "u8", "f2", "f4", ">f8", "?"]


@pytest.mark.parametrize("dtype", ["i2", "u2", ">i4", "i8", "u8"])
def test_integer_pixels(dtype):
    assert np.array_equal(open_source(PIXELS.astype(dtype)).rows, PIXELS)


@pytest.mark.parametrize("dtype", ["f4", ">f8"])
def test_float_and_bool_pixels(dtype):
    for pixels in (PIXELS / 255.0, PIXELS / 127.5 - 1.0):
        assert np.array_equal(open_source(pixels.astype(dtype)).rows, PIXELS)
    assert open_source(np.array([[[True, False]]])).rows.ravel().tolist() == [255, 0]


def test_layouts():
    first = open_source(PIXELS.transpose(0, 3, 1, 2))
    assert first.shape == (3, 7, 9)
    assert torch.equal(first.batch(np.arange(5)), open_source(PIXELS).batch(np.arange(5)))
    assert open_source(PIXELS[..., 0]).shape == (1, 7, 9)
    assert open_source(PIXELS[:, None, :, :, 0]).shape == (1, 7, 9)


def test_arrays_of_the_right_kind_are_not_copied():
    for array in (PIXELS, np.ones((3, 4), np.float32)):
        assert np.shares_memory(open_source(array).rows, array)


def test_tensors():
    assert np.array_equal(open_source(torch.from_numpy(PIXELS)).rows, PIXELS)
    vectors = torch.ones(3, 4, dtype=torch.bfloat16, requires_grad=True)
    assert open_source(vectors).rows.dtype == np.float32
    for wrong, word in (
        (torch.eye(3).to_sparse(), "sparse"),
        (torch.ones(2, 2, dtype=torch.complex64), "complex64"),
        (torch.ones(2, 2, device="meta"), "meta"),
    ):
        with pytest.raises(UserTypeError, match=word):
            open_source(wrong)


def test_vectors():
    dataset = open_source(np.array([[1, np.nan], [3, 4]]))
    assert (dataset.shape, dataset.rows.dtype) == ((2,), np.float32)
    assert np.isnan(dataset.rows[0, 1])
    assert open_source(np.array([[1, 2], [3, 4]])).rows.tolist() == [[1, 2], [3, 4]]
    for options in (SourceOptions(size=8), SourceOptions(channels=1)):
        with pytest.raises(UserError, match="vectors"):
            open_source(np.zeros((3, 4)), options)


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.array([[{}, None]]), UserTypeError, "dtype object"),
        (np.array([["a", "b"]]), UserTypeError, "dtype <U1"),
        (np.zeros((2, 2), complex), UserTypeError, "dtype complex"),
        (np.zeros(3, [("a", "u1")]), UserTypeError, "dtype"),
        (np.zeros((2, 2), "M8[s]"), UserTypeError, "dtype"),
        (np.ma.masked_array(np.zeros((2, 2)), True), UserTypeError, r"filled\(numpy.nan\)"),
        (np.zeros((0, 8, 8), np.uint8), UserError, "empty"),
        (np.zeros((4, 0)), UserError, "empty"),
        (np.zeros(5), UserError, r"shape \(5,\)"),
        (np.zeros(()), UserError, r"shape \(\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), UserError, "C 1 or 3"),
        (np.zeros((2, 1, 8, 8, 8), np.uint8), UserError, "C 1 or 3"),
        (np.zeros((32, 32, 3), np.uint8), UserError, r"array\[None\]"),
        (np.full((2, 8, 8), np.nan), UserError, "NaN"),
        (np.full((2, 8, 8), -np.inf), UserError, "infinity"),
        (np.full((2, 8, 8), 16.0), UserError, "from 16 to 16"),
        (np.full((2, 8, 8), -1), UserError, "from -1 to -1"),
        (np.full((2, 8, 8), 256), UserError, "from 256 to 256"),
        (np.eye(8, dtype=np.uint8)[None], UserError, "0 and 1"),
        (np.eye(8, dtype=np.int64)[None], UserError, "0 and 1"),
        (np.array([[1.0, np.inf]]), UserError, "infinity"),
        (np.array([[1.0, np.inf]], np.float32), UserError, "infinity"),
        (np.array([[1.0, 1e300]]), UserError, "too large"),
    ],
)
def test_arrays_that_cannot_be_used(array, error, words):
    with pytest.raises(error, match=words):
        open_source(array)


def test_black_images_and_a_single_dark_image_are_allowed():
    assert open_source(np.zeros((2, 8, 8), np.uint8)).rows.max() == 0
    dark = np.zeros((1000, 4, 4), np.uint8)
    dark[0], dark[1] = 1, 9
    assert open_source(dark).rows.max() == 9


def test_size_channels_limit_and_chunks():
    options = SourceOptions(size=16, channels=1, limit=2)
    assert open_source(PIXELS, options).rows.shape == (2, 16, 16, 1)
    assert open_source(PIXELS[..., 0], SourceOptions(channels=3)).shape == (3, 7, 9)
    # More than one chunk of 4 MiB.
    many = np.tile(PIXELS / 255.0, (700, 1, 1, 1))
    assert np.array_equal(open_source(many).rows, np.tile(PIXELS, (700, 1, 1, 1)))


def test_labels():
    dataset = open_array(PIXELS, labels=np.array(list("babab")), options=SourceOptions(limit=3))
    assert (dataset.labels.tolist(), dataset.label_names) == ([1, 0, 1], ("a", "b"))
    assert open_array(PIXELS, labels=torch.arange(5)).labels.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="labels"):
        open_array(PIXELS, labels=np.zeros(3))


@given(
    hnp.arrays(
        st.sampled_from(REAL),
        hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    )
)
def test_any_array_opens_or_is_a_user_error(array):
    with contextlib.suppress(UserError):
        dataset = open_source(array)
        assert len(dataset) == len(array)
        batch = dataset.batch(np.arange(len(array)))
        assert torch.isfinite(batch).all()
        assert not dataset.is_images or batch.abs().max() <= 1
