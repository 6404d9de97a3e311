"""Labels of any usual kind, as numbers from 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError, UserTypeError

__all__ = ["as_labels"]


def as_labels(labels: NDArray[Any], what: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Turn labels, numbers or words, (N,) or (N, 1), into numbers from 0 and names.

    Raises:
        UserError: if they are of another shape, or not whole numbers from 0.
        UserTypeError: if they are neither numbers nor words.

    Example:
        >>> as_labels(np.array(["cat", "ant", "cat"]), "The labels")
        (array([1, 0, 1]), ('ant', 'cat'))
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UserError(f"{what} has shape {labels.shape}; give one label for each example, (N,).")
    if labels.dtype.kind in "US":
        words, numbers = np.unique(labels.astype(str), return_inverse=True)
        return numbers.astype(np.int64), tuple(str(word) for word in words)
    if labels.dtype.kind not in "biuf":
        raise UserTypeError(f"{what} is of dtype {labels.dtype}; give whole numbers from 0.")
    with np.errstate(invalid="ignore"):
        whole = labels.astype(np.int64)
    if (whole != labels).any() or (whole < 0).any():
        raise UserError(f"{what} holds values that are not whole numbers from 0; number them so.")
    return whole, ()
