"""Validation of an estimator's inputs, and their conversion to a dataset."""

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data
from torch import Tensor

from glo.data import Dataset
from glo.data.labels import encode_targets
from glo.data.readers.arrays import fill_masked, to_numpy
from glo.data.readers.suspect_columns import suspect_notes
from glo.data.storage import to_ids
from glo.errors import UserError, printable
from glo.estimator.example_format import ExampleFormat

__all__ = [
    "check_examples",
    "check_training_data",
    "ids_of",
    "labels_of",
    "row_digests",
]

# Types of missing labels in Python and pandas.
_MISSING = ("NoneType", "NAType", "NaTType")


def check_training_data(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    size: int | None,
    pixel_range: tuple[float, float] | None,
) -> tuple[Dataset, ExampleFormat]:
    """Convert training data to a dataset, and return the format of its examples.

    The estimator gets `n_features_in_` and, for a table, `feature_names_in_`; `size` is the side of
    the decoder's images in pixels, `pixel_range` the user's black and white.
    """
    array = check_examples(estimator, X, reset=True)
    labels = labels_of(y, len(array))
    if isinstance(array, Dataset):
        return array, ExampleFormat.of(array.rows)
    form = ExampleFormat.of(array, size, pixel_range)
    columns = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    suspects = () if form.is_images else suspect_notes(array, columns)
    labels["notes"] = (*labels.get("notes", ()), *(f"X: {note}" for note in suspects))
    dataset = form.samples(array, is_fitted=False, ids=ids_of(X), **labels)
    return dataset.replace(reading=replace(dataset.reading, columns=columns)), form


def ids_of(X: Any) -> NDArray[Any] | None:
    """Return the index of a data frame of pandas as identities of rows, unless it counts them."""
    index = getattr(X, "index", None)
    if index is None or callable(index) or type(index).__name__ == "RangeIndex":
        return None
    return to_ids([printable(str(value)) for value in index])


def check_examples(estimator: Any, X: Any, *, reset: bool) -> NDArray[Any] | Dataset:
    """Check examples, and return them as an array, (n, F) or images, or as a dataset.

    `reset` sets the estimator's expected shape; otherwise X is compared with it.
    """
    values = to_numpy(X, "X") if isinstance(X, Tensor | np.ma.MaskedArray) else X
    if isinstance(values, np.ma.MaskedArray) and values.ndim == 2:
        # scikit-learn takes the values below the mask.
        values = fill_masked(values)
    is_dataset = isinstance(values, Dataset)
    if not is_dataset and (not isinstance(values, np.ndarray) or values.ndim not in (3, 4)):
        vectors: NDArray[Any] = validate_data(
            estimator,
            values,
            reset=reset,
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
        )
        return vectors
    if reset:
        if len(values) < 2:
            raise UserError("X has 1 example; give at least two examples.")
        shape = values.shape if is_dataset else values.shape[1:]
        estimator.n_features_in_ = int(np.prod(shape))
    result: NDArray[Any] | Dataset = values
    return result


def labels_of(y: Any, n: int, *, are_classes: bool = False) -> dict[str, Any]:
    """Return y as the labels of `Dataset`, or a note if it holds no classes.

    `are_classes`: numbers are classes even if they rarely repeat.
    """
    if y is None:
        return {}
    values = to_numpy(y, "y")
    if values.dtype.kind in "US":
        # NumPy makes strings of a list of numbers and strings.
        values = np.asarray(y, dtype=object)
    check_consistent_length(np.empty(n), values)
    _check_no_missing(y, values)
    numbers, names, notes = encode_targets(values, "y")
    is_rare = len(names) > max(2, n // 2) and values.dtype.kind in "iuf"
    if numbers is not None and is_rare and not are_classes:
        notes = (f"y has {len(names)} values in {n} examples, so they are taken for no classes.",)
        return {"notes": notes}
    return {"labels": numbers, "label_names": names, "notes": notes}


def _check_no_missing(y: Any, values: NDArray[Any]) -> None:
    # NumPy converts a list of strings and NaN to strings.
    objects = np.asarray(y, dtype=object) if isinstance(y, list | tuple) else values
    objects = objects.ravel()
    if objects.dtype.kind not in "Of":
        return
    for row, label in enumerate(objects.tolist()):
        if type(label).__name__ in _MISSING or (isinstance(label, float) and np.isnan(label)):
            raise UserError(
                f"y lacks the label of example {row}; give each example a label, or omit y."
            )


def row_digests(dataset: Dataset) -> list[bytes]:
    """Return an 8-byte digest of the values of each example."""
    parts = [dataset.rows] if dataset.missing is None else [dataset.rows, dataset.missing]
    digests = []
    for rows in zip(*parts, strict=True):
        digest = blake2b(digest_size=8)
        for row in rows:
            digest.update(row.tobytes())
        digests.append(digest.digest())
    return digests
