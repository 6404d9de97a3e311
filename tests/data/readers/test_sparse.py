"""Sparse matrices; scipy's dense form is the oracle."""

import numpy as np
import pytest
from scipy import sparse

from glo.data import SourceOptions, open_source
from glo.data.readers import sparse as reader
from glo.errors import UserError

DENSE = np.where(np.random.default_rng(0).random((6, 8)) < 0.3, 2.5, 0.0)
FORMATS = ["csr", "csc", "coo", "bsr", "dia"]


@pytest.mark.parametrize("kind", FORMATS)
def test_files_of_every_format(tmp_path, kind):
    path = tmp_path / "a.npz"
    sparse.save_npz(path, sparse.csr_matrix(DENSE).asformat(kind))
    dataset = open_source(path, SourceOptions(limit=5))
    assert np.array_equal(dataset.rows, DENSE[:5])
    assert (dataset.labels, len(dataset.notes)) == (None, 1)


@pytest.mark.parametrize("kind", [*FORMATS, "lil", "dok"])
def test_matrices_and_arrays_in_memory(kind):
    for make in (sparse.csr_matrix, sparse.csr_array):
        dataset = open_source(make(DENSE).asformat(kind), SourceOptions(limit=4))
        assert np.array_equal(dataset.rows, DENSE[:4])
        assert len(dataset.notes) == 1


def test_matrices_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    sparse.save_npz(path, sparse.csr_matrix(DENSE))
    monkeypatch.setattr(reader, "MAX_MEMORY_BYTES", 300)
    for source in (path, sparse.coo_array(DENSE)):
        with pytest.raises(UserError, match="dense"):
            open_source(source)


@pytest.mark.parametrize(
    "change",
    [
        {"indices": np.full(3, 10**6)},
        {"indptr": np.array([0, 9, 3, 3])},
        {"format": np.array("odd")},
        {"shape": np.array([-1, 5])},
        {"data": np.zeros((2, 2))},
    ],
)
def test_damaged_files_are_refused(tmp_path, change):
    whole = {
        "format": np.array("csr"),
        "shape": np.array([3, 5]),
        "data": np.ones(3),
        "indices": np.arange(3),
        "indptr": np.arange(4),
    }
    np.savez(tmp_path / "a.npz", **{**whole, **change})
    with pytest.raises(UserError, match=r"a\.npz"):
        open_source(tmp_path / "a.npz")
