"""Columns of vectors: NumPy's NaN-aware moments are the oracle."""

import numpy as np
import pytest
import torch

from glo.data import standardizer as module
from glo.data.standardizer import Standardizer


@pytest.fixture(params=[2**22, 64])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(module, "_CHUNK_VALUES", request.param)
    rng = np.random.default_rng(0)
    found = (rng.normal(size=(101, 5)) * [1, 10, 1e-3, 1e4, 1] + [0, 5, 1, -1e5, 3]).astype("f")
    found[rng.random(found.shape) < 0.2] = np.nan
    return found


def test_mean_and_deviation_of_what_is_known(rows: np.ndarray) -> None:
    columns = Standardizer.fit(rows)
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(columns.shift.numpy(), np.nanmean(exact, 0), rtol=1e-6)
    np.testing.assert_allclose(columns.scale.numpy(), np.nanstd(exact, 0), rtol=1e-4)


def test_there_and_back(rows: np.ndarray) -> None:
    columns, given = Standardizer.fit(rows), torch.from_numpy(rows)
    ready = columns.transform(given)
    assert torch.equal(ready.isnan(), given.isnan())
    known = ~given.isnan()
    assert torch.allclose(
        columns.inverse_transform(ready)[known], given[known], rtol=1e-5, atol=1e-5
    )


def test_flat_and_empty_columns_keep_their_scale() -> None:
    rows = np.array([[7.0, np.nan, 0.0], [7.0, np.nan, 0.0]], np.float32)
    columns = Standardizer.fit(rows)
    assert columns.scale.tolist() == [1.0, 1.0, 1.0]
    assert columns.shift.tolist() == [7.0, 0.0, 0.0]
