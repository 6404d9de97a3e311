"""Tables and lists of chosen training examples: identities, labels, errors, percentiles."""

import csv
import io
import math
from typing import Any

import torch
from torch import Tensor

from glo.explorer.latent_space import LatentSpace
from glo.explorer.protocol import NotFound, array_to_base64

__all__ = ["errors_of", "list_rows", "row_table", "write_csv"]


def row_table(space: LatentSpace, rows: Tensor) -> dict[str, Any]:
    """Return identities, labels, errors and percentiles of rows, int64 (m,).

    A percentile is the share of the known errors that are at most this one, in percent. Unknown
    errors are NaN, as are their percentiles; `typical` is the median error.
    """
    errors, percentiles = errors_of(space, rows)
    about = [space.about(row) for row in rows.tolist()]
    return {
        "ids": None if space.row_ids.ids is None else [each["id"] for each in about],
        "labels": [each["label"] for each in about],
        "errors": array_to_base64(errors.numpy(), "<f4"),
        "percentiles": array_to_base64(percentiles.numpy(), "<f4"),
        "typical": space.typical_error,
    }


def write_csv(space: LatentSpace, rows: Tensor) -> str:
    """Return the table of rows as CSV: row, id, label, error, percentile.

    `id` and `label` are left out where the run has none; an unknown error is an empty cell.
    """
    errors, percentiles = errors_of(space, rows)
    names = space.labels.names
    columns = {
        "row": rows.tolist(),
        "id": [] if space.row_ids.ids is None else space.row_ids.subset(rows).names,
        "label": [_name(names, space.labels.of(row)) for row in rows.tolist()] if names else [],
        "error": [_number(error, 9) for error in errors.tolist()],
        "percentile": [_number(percentile, 6) for percentile in percentiles.tolist()],
    }
    columns = {name: column for name, column in columns.items() if column}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def list_rows(space: LatentSpace, rows: Tensor, name: str) -> str:
    """Return a list of rows for `glo forget`, `glo walk` and `glo export`; see `RowIds.parse`."""
    head = f"# {len(rows):,} of the {len(space.codes):,} examples of {name}\n"
    return head + space.row_ids.format(rows.tolist())


def errors_of(space: LatentSpace, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return errors and percentiles of rows, float32 (m,), NaN where they are not known."""
    errors = torch.full((len(space.codes),), math.nan)
    try:
        known, values, _ = space.errors
    except NotFound:
        return errors[rows], errors[rows]
    errors[known] = values
    errors = errors[rows]
    ranks = torch.searchsorted(values.sort().values, errors, right=True)
    percentiles = torch.where(errors.isnan(), math.nan, 100 * ranks / len(values))
    return errors, percentiles.float()


def _name(names: tuple[str, ...], label: int | None) -> str:
    return "" if label is None else names[label]


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"
