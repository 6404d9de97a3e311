"""Tables that are read in batches, and conversions of their columns to numbers and objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from glo.data.column_spec import listed_columns
from glo.data.readers.compressed import check_expansion
from glo.data.readers.csv_format import CsvFormat, to_number
from glo.errors import UserError, listed
from glo.utils.json_toml import parse_json

__all__ = [
    "TICKS",
    "ArrowRows",
    "check_unpacked_size",
    "declared_columns",
    "is_list",
    "is_number",
    "numbers_of",
    "objects_of",
    "read_batches",
    "read_numbers",
    "seconds",
    "short_reason",
]

TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Ticks of a duration in one second by its unit."""

# Steps for a table in memory, which has no options.
_STEPS = {
    "without": "with frame.drop(columns=[{}])",
    "columns": "with frame[[{}]]",
    "image": "with frame[[{}]]",
    "label": "under the name 'label'",
    "index": "as the index of the frame",
    "missing": "as NaN",
}


@final
@dataclass(frozen=True, kw_only=True)
class ArrowRows:
    """Table that is read in batches.

    Attributes:
        what: name of the table in messages.
        name: name of the dataset.
        n: number of rows.
        schema: pyarrow.Schema; the metadata of Hugging Face name labels and images, those of pandas
            the index.
        batches: function that yields the named columns of consecutive rows as batches or tables.
        length: bytes of the file that the table is unpacked from, or None.
        form: format of a .csv file, or None.
        faults: sentence on each column of a .csv file, some cells of which are no numbers.
        notes: one sentence for each decision about the table.
        in_memory: whether the table is an object, and no source with options.
    """

    what: str
    name: str
    n: int
    schema: Any
    batches: Callable[[list[str]], Iterator[Any]]
    length: int | None = None
    form: CsvFormat | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    in_memory: bool = False

    def advice(self, option: str, *names: str) -> str:
        """Return how columns are named as an option: the end of an advice.

        Example:
            >>> rows = ArrowRows(what="", name="", n=0, schema=None, batches=lambda names: iter([]))
            >>> rows.advice("without", "a", "b")
            'as SOURCE?without=a,b'
        """
        if self.in_memory:
            return _STEPS[option].format(listed([repr(name) for name in names]))
        return f"as SOURCE?{option}={listed_columns(list(names))}"

    @property
    def unnamed(self) -> str:
        """Sentence on a .csv file whose first line is a row, or ""."""
        if self.form is None or self.form.has_names:
            return ""
        return (
            "the first line has numbers and is read as the first row, so the columns are column1, "
            "column2, ...; if it has names, name one, as SOURCE?columns=NAME,NAME"
        )


def is_number(kind: Any) -> bool:
    """Return whether a type of Arrow holds numbers, a list of numbers for each row, or nothing."""
    from pyarrow import types

    if types.is_dictionary(kind) or is_list(kind):
        kind = kind.value_type
    is_real = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    is_other = types.is_decimal(kind) or types.is_duration(kind) or types.is_null(kind)
    return bool(is_real or is_other)


def is_list(kind: Any) -> bool:
    """Return whether a type of Arrow is a list."""
    from pyarrow import types

    is_any_list = types.is_list(kind) or types.is_large_list(kind)
    return bool(is_any_list or types.is_fixed_size_list(kind))


def read_batches(rows: ArrowRows, names: list[str], limit: int | None) -> Iterator[Any]:
    """Yield the named columns of the first rows, or of all, in batches."""
    left = min(rows.n, limit or rows.n)
    check_unpacked_size(rows, 4 * len(names) * left)
    for batch in rows.batches(names):
        yield batch.slice(0, left)
        left -= len(batch)
        if left <= 0:
            break


def read_numbers(
    rows: ArrowRows, names: list[str], limit: int | None, missing: Sequence[str]
) -> tuple[NDArray[np.float64], list[str]]:
    """Read columns of the first rows, or of all.

    Args:
        missing: texts of values that are read as missing, where they are numbers.

    Returns:
        float64 (n, F), NaN where a value is missing; F names, those of the elements of a list
        column "name[0]", "name[1]", ....
    """
    parts: list[NDArray[np.float64]] = []
    widths: list[int] = []
    for batch in read_batches(rows, names, limit):
        columns = [numbers_of(rows, name, batch.column(name)) for name in names]
        if not widths:
            widths = [column.shape[1] for column in columns]
            check_unpacked_size(rows, 4 * sum(widths) * min(rows.n, limit or rows.n))
        for name, width, column in zip(names, widths, columns, strict=True):
            _check_width(rows, name, width, column.shape[1])
        parts.append(np.concatenate(columns, axis=1))
    schema = rows.schema
    spelled = [
        [f"{name}[{k}]" for k in range(width)] if is_list(schema.field(name).type) else [name]
        for name, width in zip(names, widths, strict=True)
    ]
    values = np.concatenate(parts)
    numbers = [number for number in map(to_number, missing) if number is not None]
    values[np.isin(values, numbers)] = np.nan
    return values, [name for group in spelled for name in group]


def numbers_of(rows: ArrowRows, name: str, column: Any) -> NDArray[np.float64]:
    """Return a column of `rows` as float64 (n, F), NaN where a value is missing; F is 1 but for
    lists."""
    import pyarrow
    from pyarrow import compute, types

    kind = column.type
    with _readable(rows):
        if is_list(kind):
            return _elements(rows, name, column)
        if types.is_null(kind):
            return np.full((len(column), 1), np.nan)
        if types.is_dictionary(kind):
            column, kind = compute.cast(column, kind.value_type), kind.value_type
        if types.is_duration(kind):
            return seconds(column)[:, None]
        # Arrow has no cast from bool to float.
        numeric = compute.cast(column, pyarrow.uint8()) if types.is_boolean(kind) else column
        try:
            floats = compute.cast(numeric, pyarrow.float64())
        except pyarrow.ArrowInvalid:
            if not types.is_integer(kind):
                raise
            raise UserError(
                f"The column '{name}' of {rows.what} has integers beyond 2**53, which floats "
                f"cannot tell apart; name the rows by it, {rows.advice('index', name)}, or leave "
                f"it out, {rows.advice('without', name)}."
            ) from None
        values: NDArray[np.float64] = floats.to_numpy(zero_copy_only=False)
    return values[:, None]


def seconds(column: Any) -> NDArray[np.float64]:
    """Return a column of durations in seconds, float64 (n,)."""
    import pyarrow
    from pyarrow import compute

    ticks = compute.cast(compute.cast(column, pyarrow.int64()), pyarrow.float64(), safe=False)
    values: NDArray[np.float64] = ticks.to_numpy(zero_copy_only=False)
    return values / TICKS[column.type.unit]


def objects_of(rows: ArrowRows, name: str) -> Iterator[Any]:
    """Yield the values of a column as Python objects."""
    for batch in rows.batches([name]):
        with _readable(rows):
            values = batch.column(0).to_pylist()
        yield from values


def declared_columns(rows: ArrowRows, kind: str) -> dict[str, Any]:
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


def short_reason(error: BaseException) -> str:
    """Return the message of an error in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200].rstrip(".")


def _elements(rows: ArrowRows, name: str, column: Any) -> NDArray[np.float64]:
    """Return a column of lists of one length as float64 (n, F)."""
    from pyarrow import compute

    lengths = compute.unique(compute.list_value_length(column)).drop_null().to_pylist()
    for length in lengths[1:]:
        _check_width(rows, name, lengths[0], length)
    is_known = np.asarray(column.is_valid())
    values = np.full((len(column), lengths[0] if lengths else 1), np.nan)
    flat = numbers_of(rows, name, compute.list_flatten(column))
    values[is_known] = flat.reshape(int(is_known.sum()), -1)
    return values


def _check_width(rows: ArrowRows, name: str, expected: int, actual: int) -> None:
    if actual != expected:
        raise UserError(
            f"The column '{name}' of {rows.what} has lists of {expected} and of {actual} numbers; "
            f"give lists of one length, or leave it out, {rows.advice('without', name)}."
        )


@contextmanager
def _readable(rows: ArrowRows) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except UserError:
        raise
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:
        reason = short_reason(error)
        raise UserError(f"{rows.what} cannot be read as a table ({reason}); check it.") from None
