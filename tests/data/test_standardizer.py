"""Standardizer; NumPy's NaN-aware moments are the oracle."""

import numpy as np
import pytest
import torch

from glo.data.standardizer import Standardizer


@pytest.fixture(scope="module", params=[101, 900_000])
def rows(request):
    rng = np.random.default_rng(0)
    shape = (request.param, 5)
    values = (rng.normal(size=shape) * [1, 10, 1e-3, 1e4, 1] + [0, 5, 1, -1e5, 3]).astype("f")
    values[rng.random(shape) < 0.2] = np.nan
    return values


def test_moments_of_observed_values(rows):
    standardizer = Standardizer.fit(rows)
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(standardizer.shift.numpy(), np.nanmean(exact, 0), rtol=1e-4)
    np.testing.assert_allclose(standardizer.scale.numpy(), np.nanstd(exact, 0), rtol=1e-4)


def test_inverse(rows):
    standardizer, vectors = Standardizer.fit(rows), torch.from_numpy(rows)
    back = standardizer.inverse_transform(standardizer.transform(vectors))
    assert torch.allclose(back, vectors, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_constant_and_missing_columns_keep_their_scale():
    standardizer = Standardizer.fit(np.array([[7.0, np.nan, 0.0]] * 2, np.float32))
    assert standardizer.scale.tolist() == [1.0, 1.0, 1.0]
    assert standardizer.shift.tolist() == [7.0, 0.0, 0.0]


def test_float64_columns_keep_differences_that_float32_rounds_away():
    dates = 2_460_000.5 + np.arange(300.0)[:, None] / 1440
    standardizer, vectors = Standardizer.fit(dates), torch.from_numpy(dates)
    assert standardizer.shift.dtype == standardizer.scale.dtype == torch.float64
    codes = standardizer.transform(vectors)
    assert (codes.dtype, len(codes.unique())) == (torch.float32, 300)
    back = standardizer.inverse_transform(codes)
    np.testing.assert_allclose(back.numpy(), dates, rtol=0, atol=1e-6)
    assert Standardizer.fit(np.full((3, 1), 0.1)).scale.tolist() == [1.0]
