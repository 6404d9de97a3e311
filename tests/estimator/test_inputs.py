"""Inputs of the estimator: values, classes and rows are what the user meant."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from glo import GLO

CLASSES = np.repeat([0, 1, 2], 20)


def fast(**options):
    return GLO(code_dim=2, width=4, epochs=30, batch_size=30, prior="gaussian", **options)


def table():
    rng = np.random.default_rng(0)
    return 10.0 * CLASSES[:, None] + rng.standard_normal((60, 3))


def images(dtype, low, high):
    shares = np.random.default_rng(0).random((12, 8, 8))
    shares[0, 0, :2] = 0, 1
    values = low + shares * (high - low)
    return (np.rint(values) if np.dtype(dtype).kind in "iu" else values).astype(dtype)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("values", "spellings"),
    [
        ([1, 2, 3], [3, 3.0, "3", np.int64(3)]),
        ([1.0, 2.0, 3.0], [3, 3.0, "3"]),
        ([-2, -1, 10], [10, "10"]),
        (["1", "2", "10"], ["2", 2]),
        (["b", "c", "a"], ["a"]),
    ],
)
@pytest.mark.parametrize("form", ["array", "column", "list", "object", "categorical", "tensor"])
def test_samples_of_a_label_are_of_its_class(values, spellings, form):
    y = np.array(values)[CLASSES]
    if form == "tensor" and y.dtype.kind == "U":
        return
    made = {
        "array": y,
        "column": y[:, None],
        "list": y.tolist(),
        "object": y.astype(object),
        "categorical": pd.Series(y).astype("category"),
        "tensor": None if y.dtype.kind == "U" else torch.from_numpy(y),
    }[form]
    model = fast().fit(table(), made)
    for label in spellings:
        (place,) = [i for i, v in enumerate(values) if str(v) in (str(label), f"{label}.0")
                    or v == label]  # fmt: skip
        assert abs(model.sample(20, label=label).mean() - 10 * place) < 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_hot_and_bool_classes():
    model = fast().fit(table(), np.eye(3)[CLASSES])
    assert abs(model.sample(20, label=2).mean() - 20) < 5
    model = fast().fit(table(), CLASSES == 2)
    assert model.sample(20, label=True).mean() > model.sample(20, label="False").mean() + 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.uint8, 0, 255),
        (np.uint16, 0, 4095),
        (np.int64, 0, 4095),
        (np.uint16, 0, 65535),
        (np.float64, -1, 1),
        (np.float32, 0, 1),
    ],
)
def test_images_come_back_in_their_units(dtype, low, high):
    pixels = images(dtype, low, high)
    model = fast().fit(pixels)
    decoded = model.inverse_transform(model.codes_)
    assert (decoded.dtype, decoded.shape) == (dtype, pixels.shape)
    span = high - low
    assert abs(float(decoded.mean()) - float(pixels.mean())) < 0.1 * span
    assert low <= decoded.min() < decoded.max() <= high
    reading = model._store.run.reading
    assert (reading.black, reading.white) == (low, high)
    # Examples without negative values are in the range of the model.
    assert model.transform(np.full((1, 8, 8), high // 2, dtype)).shape == (1, 2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_dates_come_back():
    values = np.column_stack([2_460_000.5 + np.arange(60) / 1440, table()])
    model = fast().fit(values)
    decoded = model.inverse_transform(model.transform(values))
    assert decoded.dtype == np.float64
    assert len(np.unique(decoded[:, 0])) == 60
    assert np.abs(decoded[:, 0] - values[:, 0]).max() < 60 / 1440
    assert np.array_equal(model.transform(values), model.codes_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_masked_values_are_missing():
    values = np.ma.masked_array(table())
    values[3, 1] = 1e6
    values[3, 1] = np.ma.masked
    values.data[3, 1] = 1e6
    model = fast().fit(values)
    assert model.inverse_transform(model.codes_).max() < 100
    assert np.array_equal(model.transform(values), model.codes_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_index_of_a_frame_identifies_rows():
    frame = pd.DataFrame(table(), columns=list("abc"), index=[f"p{i}" for i in range(60)])
    model = fast().fit(frame)
    run = model._store.run
    assert run.reading.columns == ("a", "b", "c")
    assert run.row_ids.of(5) == "p5"
    model.forget(["p5", "p7"])
    assert model._store.run.row_ids.of(5) == "p6"
    assert len(model.codes_) == 58
    assert fast().fit(frame.reset_index(drop=True))._store.run.row_ids.ids is None


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.linspace(0, 1, 60), "not whole numbers"),
        (np.arange(60), "60 values in 60 examples"),
        (np.ones((60, 2)), "one-hot"),
        (None, "No y"),
    ],
)
def test_why_there_are_no_classes(y, words):
    model = fast().fit(table(), y)
    with pytest.raises(ValueError, match=words):
        model.sample(2, label="a")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_suspect_columns_are_noted():
    frame = pd.DataFrame(table(), columns=list("abc"))
    frame["b"] = np.nan
    frame.loc[::7, "c"] = -999
    for X, names in ((frame, ("'b'", "'c'")), (frame.to_numpy(), ("1 (from 0)", "2 (from 0)"))):
        model = fast().fit(X)
        notes = " ".join(model._store.run.notes)
        assert all(name in notes for name in names)
        assert "-999 9 times" in notes


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_tensors():
    values = torch.from_numpy(table())
    for tensor in (values.bfloat16(), values.half(), values.clone().requires_grad_()):
        assert fast().fit(tensor).codes_.shape == (60, 2)
    for wrong in (values.to_sparse(), values.to("meta"), sparse.csr_matrix(table())):
        with pytest.raises(TypeError, match=r"dense|meta"):
            fast().fit(wrong)
