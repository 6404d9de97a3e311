"""Columns of arrays without values or with marks of gaps."""

from pathlib import Path

import numpy as np
import pytest

from glo.data import Dataset, SourceOptions, open_source
from glo.data.reading import Reading
from glo.errors import UserError


def table() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 4))


def mentions(dataset: Dataset, *words: str) -> bool:
    return any(all(word in note for word in words) for note in dataset.notes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["array", "npy", "npz"])
def test_arrays_keep_columns_without_values(tmp_path: Path, kind: str, dtype: type) -> None:
    values = table().astype(dtype)
    values[:, 2] = np.nan
    values[::7, 1] = -9999
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", values)
    dataset = open_source(values if kind == "array" else tmp_path / f"a.{kind}")
    np.testing.assert_array_equal(dataset.rows, values.astype(np.float32))
    assert mentions(dataset, "without a value", "2 (from 0)")
    assert mentions(dataset, "1 (from 0) has -9999 9 times", "NaN")
    assert not open_source(values, SourceOptions(reading=Reading())).notes


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32])
def test_arrays_without_suspects(dtype: type) -> None:
    assert open_source((table() > 0).astype(dtype)).notes == ()


def test_the_numbers_of_a_run_with_names_are_taken_by_place(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", table())
    reading = Reading(columns=("mass", "wing", "leg", "tail"))
    for source in (table(), tmp_path / "a.npy"):
        dataset = open_source(source, SourceOptions(reading=reading))
        np.testing.assert_array_equal(dataset.rows, table().astype(np.float32))
        assert mentions(dataset, "places", "mass, wing, leg, tail")
        with pytest.raises(UserError, match=r"4 columns.* 2: mass, wing"):
            open_source(source, SourceOptions(reading=Reading(columns=("mass", "wing"))))
