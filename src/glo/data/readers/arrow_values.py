"""What the columns of an Arrow table hold: numbers, labels, and what its maker says of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from glo.data.labels import as_labels
from glo.data.limits import check_times
from glo.data.readers.images import shown
from glo.errors import UserError
from glo.utils.json_toml import parse_json

__all__ = ["ArrowRows", "check_length", "floats_of", "labels_of", "told_of", "values_of"]


@final
@dataclass(frozen=True, kw_only=True)
class ArrowRows:
    """A table that is read in parts.

    Attributes:
        what: how messages call it.
        name: of the set.
        n: how many rows.
        schema: of pyarrow; what Hugging Face writes beside it names labels and images.
        batches: gives the named columns of some rows after the others, as batches or tables.
        length: bytes of the file that it is unpacked from, or None.
        skipped: one sentence for each part of it that is in no row.
    """

    what: str
    name: str
    n: int
    schema: Any
    batches: Callable[[list[str]], Iterator[Any]]
    length: int | None = None
    skipped: tuple[str, ...] = ()


def told_of(rows: ArrowRows, kind: str) -> dict[str, Any]:
    """Return the columns that Hugging Face says are of a kind, with what it says."""
    text = (rows.schema.metadata or {}).get(b"huggingface", b"{}")
    features = parse_json(text.decode("utf-8", "replace"), f"What {rows.what} says of itself")
    for name in ("info", "features"):
        features = features.get(name) if isinstance(features, dict) else None
    if not isinstance(features, dict):
        return {}
    return {
        name: about
        for name, about in features.items()
        if isinstance(about, dict) and about.get("_type") == kind and name in rows.schema.names
    }


def check_length(rows: ArrowRows, unpacked: int) -> None:
    """Refuse a file of a few numbers or images that are said to come a billion times.

    Args:
        rows: of the file.
        unpacked: bytes that come out of it.
    """
    if rows.length is None:
        return
    try:
        check_times(rows.length, unpacked, "give its rows as a .npy file or a folder of images")
    except UserError as error:
        raise UserError(f"{rows.what} is refused: {error}") from None


def floats_of(rows: ArrowRows, column: Any) -> NDArray[np.float32]:
    """Return a column as float32 (n,), NaN where a value is missing."""
    import pyarrow
    from pyarrow import compute, types

    try:
        # There is no straight way from true and false to real numbers.
        plain = compute.cast(column, pyarrow.uint8()) if types.is_boolean(column.type) else column
        found: NDArray[np.float32] = compute.cast(plain, pyarrow.float32(), safe=False).to_numpy(
            zero_copy_only=False
        )
    except (pyarrow.ArrowException, ValueError) as error:
        raise _unreadable(rows, error) from None
    return found


def values_of(rows: ArrowRows, batch: Any) -> list[Any]:
    """Return the first column of a batch as Python's objects."""
    import pyarrow

    try:
        found: list[Any] = batch.column(0).to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:
        raise _unreadable(rows, error) from None
    return found


def labels_of(
    rows: ArrowRows, label: str, kept: NDArray[np.int64]
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Return labels of the kept rows, int64 (n,), and their names; None and none without them."""
    if not label:
        return None, ()
    what = f"The column '{label}' of {rows.what}"
    values = [value for batch in rows.batches([label]) for value in values_of(rows, batch)]
    chosen = [values[row] for row in kept.tolist()]
    if None in chosen or any(isinstance(value, int) and value < 0 for value in chosen):
        raise UserError(
            f"{what} lacks the label of row {_first_missing(values)}; leave labels out, as "
            f"SOURCE?label=none."
        )
    try:
        array = np.array(chosen)
    except ValueError as error:  # lists of several lengths
        raise _unreadable(rows, error) from None
    numbers, names = as_labels(array, what)
    told = told_of(rows, "ClassLabel").get(label, {}).get("names")
    return numbers, tuple(map(shown, told)) if _is_names(told) else names


def _is_names(told: object) -> bool:
    return isinstance(told, list) and bool(told) and all(isinstance(name, str) for name in told)


def _first_missing(values: list[Any]) -> int:
    return next(
        row
        for row, value in enumerate(values)
        if value is None or (isinstance(value, int) and value < 0)
    )


def _unreadable(rows: ArrowRows, error: Exception) -> UserError:
    told = " ".join(str(error).split())[:200].rstrip(".")
    return UserError(f"{rows.what} cannot be read as a table ({told}); check it.")
