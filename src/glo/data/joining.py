"""Two sets as one."""

import numpy as np

from glo.data.dataset import Dataset
from glo.errors import UserError

__all__ = ["join"]


def join(first: Dataset, second: Dataset) -> Dataset:
    """Return the rows of one set and then those of another, copied into memory.

    Labels stay where both have some under the same names.

    Raises:
        UserError: their examples are of different shapes.

    Example:
        >>> ones, twos = (Dataset(rows=np.full((n, 3), n, "float32"), name="n") for n in (1, 2))
        >>> join(ones, twos).rows[:, 0]
        array([1., 2., 2.], dtype=float32)
    """
    if first.shape != second.shape:
        raise UserError(
            f"{first.name} holds examples of {first.shape} and {second.name} of {second.shape}; "
            f"only the same can be joined."
        )
    missing = None
    if first.missing is not None or second.missing is not None:
        missing = np.concatenate([_missing(each) for each in (first, second)])
    labels = None
    same = first.label_names == second.label_names
    if same and first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    return Dataset(
        rows=np.concatenate([first.rows, second.rows]),
        labels=labels,
        name=first.name,
        missing=missing,
        label_names=first.label_names if labels is not None else (),
        columns=first.columns,
    )


def _missing(samples: Dataset) -> np.ndarray:
    if samples.missing is not None:
        return samples.missing
    return np.zeros((*samples.rows.shape[:-1], 1), dtype=bool)
