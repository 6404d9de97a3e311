"""Values of Arrow columns: numbers, labels, and the feature types of Hugging Face."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from glo.data.readers.arrays import encode_labels
from glo.data.readers.compressed import check_expansion
from glo.errors import UserError, printable
from glo.utils.json_toml import parse_json

__all__ = [
    "ArrowRows",
    "check_unpacked_size",
    "feature_columns",
    "python_values",
    "read_labels",
    "short_reason",
    "to_float32",
]


@final
@dataclass(frozen=True, kw_only=True)
class ArrowRows:
    """Table that is read in batches.

    Attributes:
        what: name of the table in messages.
        name: name of the dataset.
        n: number of rows.
        schema: pyarrow.Schema; the metadata of Hugging Face name labels and images.
        batches: function that yields the named columns of consecutive rows as batches or tables.
        length: bytes of the file that the table is unpacked from, or None.
        skipped: one sentence for each part of the source that is in no row.
    """

    what: str
    name: str
    n: int
    schema: Any
    batches: Callable[[list[str]], Iterator[Any]]
    length: int | None = None
    skipped: tuple[str, ...] = ()


def feature_columns(rows: ArrowRows, kind: str) -> dict[str, Any]:
    """Return the columns of a feature type of Hugging Face, with the metadata of the feature."""
    text = (rows.schema.metadata or {}).get(b"huggingface", b"{}")
    features = parse_json(text.decode("utf-8", "replace"), f"The metadata of {rows.what}")
    for name in ("info", "features"):
        features = features.get(name) if isinstance(features, dict) else None
    if not isinstance(features, dict):
        return {}
    return {
        name: feature
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == kind and name in rows.schema.names
    }


def check_unpacked_size(rows: ArrowRows, unpacked: int) -> None:
    """Check the bytes that a file unpacks to: a run of equal values may claim any number."""
    if rows.length is None:
        return
    advice = "give its rows as a .npy file or a folder of images"
    try:
        check_expansion(rows.length, unpacked, advice, in_memory=False)
    except UserError as error:
        raise UserError(f"{rows.what} is refused: {error}") from None


@contextmanager
def _readable(rows: ArrowRows) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:
        reason = short_reason(error)
        raise UserError(f"{rows.what} cannot be read as a table ({reason}); check it.") from None


def to_float32(rows: ArrowRows, column: Any) -> NDArray[np.float32]:
    """Return a column as float32 (n,), NaN where a value is missing."""
    import pyarrow
    from pyarrow import compute, types

    with _readable(rows):
        # Arrow has no cast from bool to float.
        numeric = compute.cast(column, pyarrow.uint8()) if types.is_boolean(column.type) else column
        floats = compute.cast(numeric, pyarrow.float32(), safe=False)
        values: NDArray[np.float32] = floats.to_numpy(zero_copy_only=False)
    return values


def python_values(rows: ArrowRows, batch: Any) -> list[Any]:
    """Return the first column of a batch as Python objects."""
    with _readable(rows):
        values: list[Any] = batch.column(0).to_pylist()
    return values


def read_labels(
    rows: ArrowRows, label: str, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Return the labels of the chosen rows, int64 (n,), and their names; None without a column."""
    if not label:
        return None, ()
    what = f"The column '{label}' of {rows.what}"
    values = [value for batch in rows.batches([label]) for value in python_values(rows, batch)]
    chosen = [values[row] for row in index.tolist()]
    if any(map(_is_missing, chosen)):
        row = next(row for row, value in enumerate(values) if _is_missing(value))
        raise UserError(
            f"{what} lacks the label of row {row}; leave labels out, as SOURCE?label=none."
        )
    with _readable(rows):
        array = np.array(chosen)
    numbers, names = encode_labels(array, what)
    classes = feature_columns(rows, "ClassLabel").get(label, {}).get("names")
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        names = tuple(map(printable, classes)) or names
    return numbers, names


def short_reason(error: BaseException) -> str:
    """Return the message of an error in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200].rstrip(".")


def _is_missing(label: Any) -> bool:
    return label is None or (isinstance(label, int) and label < 0)
