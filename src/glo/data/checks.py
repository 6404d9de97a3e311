"""What the parts of a store must be, and that they fit each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.errors import UserError, UserTypeError

__all__ = ["check_labels", "check_missing", "check_rows"]


def check_rows(rows: NDArray[Any]) -> None:
    images = rows.ndim == 4 and rows.shape[3] in (1, 3)
    if not images and rows.ndim != 2:
        raise UserError(
            f"The rows have shape {rows.shape}; give images (N, H, W, C) with C 1 or 3, or vectors"
            " (N, F)."
        )
    if min(rows.shape[1:]) < 1:
        raise UserError(f"The rows have shape {rows.shape}; an example must hold something.")
    needed = np.uint8 if images else np.float32
    if rows.dtype != needed or not rows.dtype.isnative:
        kind = "images" if images else "vectors"
        raise UserTypeError(f"The rows are {rows.dtype}; {kind} must be {needed.__name__}.")


def check_labels(labels: NDArray[Any] | None, names: tuple[str, ...], n: int) -> None:
    if labels is None:
        return
    if labels.dtype != np.int64:
        raise UserTypeError(f"The labels are {labels.dtype}; they must be int64.")
    if labels.shape != (n,):
        raise UserError(f"The labels have shape {labels.shape}; {n} examples need shape ({n},).")
    if n and labels.min() < 0:
        raise UserError(f"The smallest label is {labels.min()}; number the labels from 0.")
    if names and n and labels.max() >= len(names):
        raise UserError(f"The largest label is {labels.max()}, but there are {len(names)} names.")


def check_missing(missing: NDArray[Any] | None, rows: NDArray[Any]) -> None:
    if missing is None:
        return
    if rows.ndim != 4:
        raise UserError("A mask was given with vectors; mark their missing values with NaN.")
    if missing.dtype != np.bool_:
        raise UserTypeError(f"The mask is {missing.dtype}; it must be bool, True where missing.")
    if missing.shape != (*rows.shape[:3], 1):
        raise UserError(
            f"The mask has shape {missing.shape}; rows of shape {rows.shape} need"
            f" {(*rows.shape[:3], 1)}."
        )
