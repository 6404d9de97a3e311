"""Sparse matrices of scipy, in memory or saved by `scipy.sparse.save_npz`, as dense arrays."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from glo.data.dataset import Dataset
from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.arrays import infer_layout, limit_rows, open_layout
from glo.data.readers.npy import npz_names, read_npz
from glo.data.storage import MAX_MEMORY_BYTES
from glo.errors import UserError

__all__ = ["densify", "is_sparse_file", "open_sparse", "read_sparse", "sparse_note"]

_MEMBERS = {"format", "shape", "data"}


def is_sparse_file(path: Path) -> bool:
    """Return whether a .npz file is a sparse matrix of scipy, of any of its formats."""
    return {*npz_names(path)} >= _MEMBERS


def read_sparse(path: Path) -> NDArray[Any]:
    """Read a sparse matrix from a .npz file as a dense array (N, F)."""
    # Arrays that are damaged or unpack to more than memory are refused here.
    read_npz(path, npz_names(path))
    try:
        matrix = sparse.load_npz(path)
        _check_size(matrix, str(path))
        if hasattr(matrix, "check_format"):
            # Indices beyond the shape would be written beyond the array.
            matrix.check_format(full_check=True)
    except UserError:
        raise
    except Exception as error:  # scipy raises nearly anything for members that do not fit
        raise UserError(
            f"{path} cannot be read as a sparse matrix ({str(error)[:200]}); save it with"
            " scipy.sparse.save_npz."
        ) from error
    return densify(matrix, str(path))


def open_sparse(matrix: Any, options: SourceOptions) -> Dataset:
    """Make a dataset of a sparse matrix or array of scipy, (N, F), in memory."""
    check_train_split("A sparse matrix", options)
    values = limit_rows(densify(matrix, "The array"), options.limit)
    layout = infer_layout(values, options, "The array")
    return open_layout(layout, None, "array", {"notes": (sparse_note("The array"),)})


def densify(matrix: Any, what: str) -> NDArray[Any]:
    """Return a sparse matrix or array of scipy, (N, F), as a dense array."""
    _check_size(matrix, what)
    return np.asarray(matrix.toarray())


def sparse_note(what: str) -> str:
    """Return the note on a sparse matrix."""
    return f"{what} is sparse and was made dense; values that it does not store are 0, not missing."


def _check_size(matrix: Any, what: str) -> None:
    size = math.prod(map(int, matrix.shape)) * matrix.dtype.itemsize
    if size > MAX_MEMORY_BYTES:
        raise UserError(
            f"{what} is sparse, of shape {matrix.shape}, which takes {size / 2**30:.1f} GiB when"
            f" dense, at most {MAX_MEMORY_BYTES / 2**30:.0f} GiB are allowed; give fewer rows or"
            " columns, such as those of sklearn.decomposition.TruncatedSVD."
        )
