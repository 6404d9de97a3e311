"""Labels: class names, encoded as numbers and matched by name."""

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo.data.labels import encode_labels, find_label, label_name, match_labels
from glo.errors import UserError, UserTypeError


@pytest.mark.parametrize(
    ("values", "numbers", "names"),
    [
        (np.array([10, 2, 10, 1]), [2, 1, 2, 0], ("1", "2", "10")),
        (np.array([1.0, np.nan, 0.0]), [1, -1, 0], ("0", "1")),
        (np.array([0.5, -1.0]), [1, 0], ("-1", "0.5")),
        (np.array([-1, 1], np.int8), [0, 1], ("-1", "1")),
        (np.array([2**64 - 1], np.uint64), [0], ("18446744073709551615",)),
        (np.array([True, False]), [1, 0], ("False", "True")),
        (np.array(["10", "9", " "]), [1, 0, -1], ("9", "10")),
        (["cat", " dog", "cat ", b" cat", "dog\t"], [0, 1, 0, 0, 1], ("cat", "dog")),
        (["b", None, "a"], [1, -1, 0], ("a", "b")),
        ([np.float32("nan"), 1], [-1, 0], ("1",)),
        ([3, None, 1], [1, -1, 0], ("1", "3")),
        ([1, True, 1.0], [0, 1, 0], ("1", "True")),
        (pandas.array([2, pandas.NA, 0], "Int64").to_numpy(object), [1, -1, 0], ("0", "2")),
        (pandas.Series(["x", np.nan], dtype=object).to_numpy(), [0, -1], ("x",)),
        (np.array([[3], [0]]), [1, 0], ("0", "3")),
        (np.array([b"b", b"a"]), [1, 0], ("a", "b")),
        (np.array([np.nan]), [-1], ()),
    ],
)
def test_labels_are_names(values, numbers, names):
    encoded, found = encode_labels(values, "y")
    assert (encoded.tolist(), encoded.dtype, found) == (numbers, np.int64, names)


@given(
    st.lists(
        st.one_of(
            st.integers(),
            st.floats(allow_nan=False),
            st.booleans(),
            st.text(min_size=1).filter(str.strip),
        ),
        min_size=1,
    )
)
def test_each_value_finds_its_class(values):
    numbers, names = encode_labels(values, "y")
    assert len(set(names)) == len(names)
    for value, number in zip(values, numbers.tolist(), strict=True):
        assert find_label(value, names) == number
        assert names[number] == label_name(value)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (np.eye(3), UserError),
        (np.array(1), UserError),
        (np.array([1j]), UserTypeError),
        ([[1], [2, 3]], UserTypeError),
        (["a", b"a" * 3, {}], UserTypeError),
    ],
)
def test_labels_that_name_no_class(values, error):
    with pytest.raises(error, match="y"):
        encode_labels(values, "y")


def test_an_unknown_class():
    assert find_label(3, ("1", "2")) is None
    assert find_label("3.0", ("3",)) is None


def test_blanks_around_a_name():
    assert find_label(" cat ", ("ant", "cat")) == 1
    assert find_label(" cat ", ("cat", " cat ")) == 0
    assert find_label(" b", ("a", " b")) == 1  # a folder


def test_labels_are_matched_by_name():
    numbers, names = match_labels(np.array([0, 2, -1]), ("dog", "elk", "cat"), ("cat", "dog"))
    assert (numbers.tolist(), names) == ([1, 0, -1], ("cat", "dog"))
