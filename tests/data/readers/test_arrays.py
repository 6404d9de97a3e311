import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glo.data import SourceOptions, open_array, open_source
from glo.data.readers import arrays, suspect_columns
from glo.data.readers.pixel_range import chunks
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
        (np.zeros((0, 8, 8), np.uint8), UserError, "empty"),
        (np.zeros((4, 0)), UserError, "empty"),
        (np.zeros(5), UserError, r"shape \(5,\)"),
        (np.zeros(()), UserError, r"shape \(\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), UserError, "C 1 or 3"),
        (np.zeros((2, 1, 8, 8, 8), np.uint8), UserError, "C 1 or 3"),
        (np.zeros((32, 32, 3), np.uint8), UserError, r"array\[None\]"),
        (np.zeros((30, 1, 784)), UserError, "reshape"),
        (np.zeros((30, 784, 1)), UserError, "reshape"),
        (np.full((2, 8, 8), np.nan), UserError, "NaN"),
        (np.full((2, 8, 8), -np.inf), UserError, "infinity"),
        (np.full((2, 8, 8), 16.0), UserError, "from 16 to 16"),
        (np.full((2, 8, 8), 1.02), UserError, "--pixel-range 0 1"),
        (np.full((2, 8, 8), -0.03), UserError, "-0.03.*--pixel-range -1 1"),
        (np.full((2, 8, 8), -1), UserError, "from -1 to -1"),
        (np.full((2, 8, 8), 70_000), UserError, "from 70000 to 70000"),
        (np.ma.masked_array(np.zeros((2, 8, 8)), True), UserError, "masked"),
        (np.eye(8, dtype=np.uint8)[None], UserError, "--pixel-range 0 1"),
        (np.eye(8, dtype=np.int64)[None], UserError, "--pixel-range 0 1"),
        (np.array([[1.0, np.inf]]), UserError, "infinity"),
        (np.array([[1.0, 2.0], [1.0, np.inf]], np.float32), UserError, "row 1, column 1"),
        (np.array([[1.0, 1e300]]), UserError, "row 0, column 1"),
    ],
)
def test_arrays_that_cannot_be_used(array, error, words):
    with pytest.raises(error, match=words):
        open_source(array)


def levels(dataset):
    return np.unique(dataset.rows).tolist()


@pytest.mark.parametrize(
    ("pixels", "kind", "white"),
    [
        (np.array([0, 100, 200], np.uint8), "uint8", 255),
        (np.array([0, 100, 255], np.uint16), "uint16", 255),
        (np.array([0, 4095], ">u2"), "uint16", 4095),
        (np.array([0, 300]), "integer", 1023),
        (np.array([0, 65535], np.int32), "integer", 65535),
        (np.array([0, 0.5]), "float", 1),
        (np.array([False, True]), "bool", 1),
    ],
)
def test_the_range_of_pixels_is_recorded(pixels, kind, white):
    dataset = open_source(np.resize(pixels, (2, 8, 8)))
    reading = dataset.reading
    assert (reading.pixels, reading.black, reading.white) == (kind, 0, white)
    assert levels(dataset) == sorted(np.rint(pixels.astype(float) * 255 / white))
    assert len(dataset.notes) == 1


@pytest.mark.parametrize("pixel_range", [(0, 200), (200, 0), (-50, 250)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_a_given_range_of_pixels(dtype, pixel_range):
    pixels = np.resize(np.array([0, 50, 200], dtype), (2, 8, 8))
    dataset = open_source(pixels, SourceOptions(pixel_range=pixel_range))
    black, white = pixel_range
    shares = (np.array([0.0, 50.0, 200.0]) - black) / (white - black)
    assert levels(dataset) == sorted(np.rint(shares * 255))
    assert (dataset.reading.black, dataset.reading.white) == pixel_range
    pixels[1] = 50
    clipped = open_source(pixels, SourceOptions(pixel_range=(50, 100)))
    assert levels(clipped) == [0, 255]
    assert "1 (50.0%) have values beyond" in clipped.notes[0]


def test_later_pixels_are_read_with_the_range_of_a_run():
    pixels = np.linspace(-1, 1, 128).reshape(2, 8, 8)
    trained = open_source(pixels).reading
    later = SourceOptions(reading=trained)
    # One value of 0.1 is byte 140 in [-1, 1], not 26.
    assert levels(open_source(np.full((1, 8, 8), 0.1), later)) == [140]
    with pytest.raises(UserError, match=r"1\.5"):
        open_source(np.full((1, 8, 8), 1.5), later)
    bits = SourceOptions(reading=open_source(np.array([[[0, 4095]]], np.uint16)).reading)
    assert levels(open_source(np.array([[[4095, 0, 200]]]), bits)) == [0, 12, 255]
    with pytest.raises(UserError, match="4096"):
        open_source(np.array([[[4096, 0]]]), bits)


def test_pixels_of_another_kind_than_those_of_a_run_are_read_as_in_training():
    run = open_source(np.zeros((1, 8, 8), np.uint8)).reading
    later = open_source(np.full((1, 8, 8), 0.2), SourceOptions(reading=run))
    assert (levels(later), later.reading.pixels) == ([51], "float")
    assert "uint8" in later.notes[0]
    # The default integers of NumPy are in the units of a run of bytes.
    assert levels(open_source(np.full((1, 8, 8), 7), SourceOptions(reading=run))) == [7]
    with pytest.raises(UserError, match="300"):
        open_source(np.full((1, 8, 8), 300), SourceOptions(reading=run))


def test_low_use_of_the_range_is_noted():
    assert "12.5%" in open_source(np.resize([0.0, 0.125], (2, 8, 8))).notes[0]
    assert "%" not in open_source(np.resize([0.0, 0.5], (2, 8, 8))).notes[0]


def test_missing_pixels():
    pixels = np.linspace(0, 1, 2 * 64).reshape(2, 8, 8)
    pixels[0, 0, 0] = np.nan
    masked = np.ma.masked_array(np.arange(128, dtype=np.uint8).reshape(2, 8, 8))
    masked[0, 0, 0] = np.ma.masked
    for array in (pixels, masked):
        dataset = open_source(array)
        assert np.argwhere(dataset.missing).tolist() == [[0, 0, 0, 0]]
        assert open_source(array, SourceOptions(size=4)).missing[0].sum() == 1
    assert dataset.reading.pixels == "uint8"
    assert open_source(np.ma.masked_array(masked.data)).missing is None


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32, np.float64])
def test_masked_values_of_vectors_are_missing(dtype):
    array = np.ma.masked_array(np.array([[1, 99], [2, 3]], dtype), [[False, True], [False, False]])
    rows = open_source(array).rows
    assert np.isnan(rows[0, 1])
    assert (rows.dtype, rows[:, 0].tolist(), rows[1, 1]) == (np.float32, [1, 2], 3)


def table(n=300):
    rng = np.random.default_rng(0)
    fluxes = rng.standard_normal((n, 4))
    dates = 2_460_000.5 + np.arange(n) / 1440
    return np.column_stack([dates, 1.7e9 + 60 * np.arange(n), fluxes])


def test_vectors_stay_float64_where_float32_would_round_them():
    values = table()
    dataset = open_source(values)
    assert np.array_equal(dataset.rows, values)
    assert (dataset.rows.dtype, dataset.reading.dtype) == (np.float64, "float64")
    assert "0, 1 " in dataset.notes[0]
    batch = dataset.standardized().batch(np.arange(300))
    assert batch.dtype == torch.float32
    assert len(batch[:, 0].unique()) == len(batch[:, 1].unique()) == 300
    assert open_source(values[:, 2:]).rows.dtype == np.float32
    # A constant column, or the rounding of one, is no reason.
    assert open_source(np.full((5, 2), 0.1)).rows.dtype == np.float32
    # A single row has no deviation, but the run's dtype.
    later = open_source(values[:1], SourceOptions(reading=dataset.reading))
    assert later.rows.dtype == np.float64
    known = open_source(values[:, 2:]).reading
    assert open_source(values, SourceOptions(reading=known)).rows.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.int32])
def test_large_integers_stay_float64(dtype):
    values = np.column_stack([2**30 + np.arange(9), np.arange(9)]).astype(dtype)
    assert np.array_equal(open_source(values).rows, values)
    assert open_source(values).rows.dtype == np.float64


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((9, 9, 20), "(N, H, W)"),
        ((9, 8, 20), "(N, H, W)"),
        ((4, 3, 8, 3), "(N, H, W, C)"),
        ((4, 3, 8, 8), "(N, C, H, W)"),
    ],
)
def test_the_layout_is_noted(shape, order):
    (note,) = open_source(np.zeros(shape, np.uint8)).notes
    assert order in note
    # As many images as rows of pixels: perhaps the last axis of MATLAB counts the images.
    assert ("transpose" in note) == (shape == (9, 9, 20))


def test_labels_that_are_one_hot_or_no_classes():
    one_hot = open_array(PIXELS, labels=np.eye(7)[[6, 0, 1, 1, 0]])
    assert one_hot.labels.tolist() == [6, 0, 1, 1, 0]
    for labels in (np.ones((5, 3)), np.linspace(0, 1, 5), np.zeros((5, 2, 2))):
        dataset = open_array(PIXELS, labels=labels)
        assert dataset.labels is None
        assert len(dataset.notes) == 2


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


def test_vectors_that_are_ready_are_read_once(monkeypatch):
    passes = []

    def counted(values):
        passes.append(len(values))
        return chunks(values)

    for module in (arrays, suspect_columns):
        monkeypatch.setattr(module, "chunks", counted)
    open_array(np.eye(4, dtype=np.float32))
    assert passes == [4]
