"""Columns of a table: features, labels, and identities of the rows."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.data.column_spec import ColumnSpec
from glo.data.readers.arrow_rows import (
    ArrowRows,
    declared_columns,
    is_list,
    is_number,
    numbers_of,
    objects_of,
)
from glo.data.reading import Reading
from glo.data.storage import to_ids
from glo.errors import UserError, listed, printable, suggest

__all__ = [
    "LABELS",
    "check_columns",
    "choose_features",
    "choose_index",
    "choose_label",
    "has_names",
    "is_unnamed",
    "read_ids",
]

LABELS = ("label", "labels", "class")
# Prefix of an index without a name that pandas writes among the columns of a .parquet file.
_INDEX = "__index_level_"
_UNNAMED = re.compile(r"(Unnamed: \d+.*)?")
_ELEMENT = re.compile(r"(.*)\[\d+\]", re.DOTALL)


def is_unnamed(name: str) -> bool:
    """Return whether a column has no name, or the one that pandas makes of it."""
    return bool(_UNNAMED.fullmatch(name))


def has_names(rows: ArrowRows, names: Sequence[str]) -> bool:
    """Return whether columns have names, not only their numbers."""
    return not rows.unnamed and list(names) != [str(place) for place in range(len(names))]


def check_columns(rows: ArrowRows, spec: ColumnSpec) -> ArrowRows:
    """Check that names are unique and those of `spec` exist; return the rows without `without`."""
    if not rows.n:
        raise UserError(f"{rows.what} is empty; give at least one example.")
    if rows.form is None and spec.has_csv_options:
        raise UserError(f"{rows.what} is no .csv file; leave out separator, decimal and thousands.")
    names = rows.schema.names
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(
            f"{rows.what} has two columns of one name, '{repeated[0]}'; give unique names (the "
            f"first line of a .csv file has the names)."
        )
    for name in spec.names:
        if name not in names:
            more = f" ({rows.unnamed})" if rows.unnamed else ""
            raise UserError(
                f"{rows.what} has no column '{name}'; it has {listed(names)}{more}."
                f"{suggest(name, names)}"
            )
    # A column named as label, image or index is no number column anyway.
    excluded = {*spec.without} - {spec.label or None, spec.image or None, spec.index}
    return _without(rows, excluded) if excluded else rows


def choose_label(
    rows: ArrowRows, spec: ColumnSpec, reading: Reading | None
) -> tuple[str | None, tuple[str, ...]]:
    """Return the column of labels, or None, and one sentence for each decision."""
    from pyarrow import types

    if spec.label:
        return (None if spec.label == "none" else spec.label), ()
    if reading and (reading.columns or reading.label):
        return (reading.label if reading.label in rows.schema.names else None), ()
    declared = list(declared_columns(rows, "ClassLabel"))
    notes: list[str] = []
    usual = [name for name in rows.schema.names if name.lower() in LABELS]
    usual.sort(key=lambda name: (LABELS.index(name.lower()), name != name.lower()))
    for name in usual:
        if name in declared or _has_classes(rows, name):
            return name, (*notes, *_other_classes(rows, declared, name))
        if types.is_floating(rows.schema.field(name).type):
            leave_out = rows.advice("without", name)
            label = "" if rows.in_memory else f"name it {rows.advice('label', name)}, or "
            notes.append(
                f"column '{name}' has numbers with fractions and is taken as a feature; if it is "
                f"none, {label}leave it out, {leave_out}"
            )
    first = next(iter(declared), None)
    return first, (*notes, *_other_classes(rows, declared, first))


def _other_classes(rows: ArrowRows, declared: Sequence[str], label: str | None) -> list[str]:
    return [
        f"column '{name}' has classes, too; to take those, name it {rows.advice('label', name)}"
        for name in declared
        if name != label
    ]


def choose_index(
    rows: ArrowRows, spec: ColumnSpec, reading: Reading | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that identify the rows, and one sentence for each decision."""
    names = rows.schema.names
    if spec.index is not None:
        return (spec.index,), ()
    features = {*spec.columns, *(reading.columns if reading else ())}
    if reading and reading.index in names and reading.index:
        return (reading.index,), ()
    levels = _pandas_index(rows)
    levels = [x for x in levels if isinstance(x, str)] if isinstance(levels, list) else []
    # The library datasets copies the columns, not the metadata of pandas.
    levels += [name for name in names if name.startswith(_INDEX) and name not in levels]
    index = tuple(name for name in levels if name in names and name not in features)
    if not index and names and is_unnamed(names[0]) and names[0] not in features:
        return (names[0],), ("first column without a name: taken as the index of the rows",)
    return index, ()


def choose_features(
    rows: ArrowRows,
    spec: ColumnSpec,
    reading: Reading | None,
    others: Sequence[str],
) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns of numbers in order, and one sentence for each decision.

    Args:
        others: columns of labels and identities.
    """
    is_used_again = bool(reading and not reading.pixels)
    names = [name for name in rows.schema.names if name not in others]
    chosen = list(spec.columns) or names
    recorded = list(reading.columns) if reading else []
    notes: list[str] = []
    if recorded and has_names(rows, chosen):
        chosen = _match(rows, chosen, recorded)
    elif recorded:
        notes.append(f"columns without names are taken by their places as {listed(recorded)}")
    elif is_used_again and has_names(rows, chosen):
        notes.append(
            f"the run has no names of columns, so {listed(chosen)} are taken by their places"
        )
    _check_numbers(rows, chosen, names)
    unused = [name for name in names if name not in chosen]
    if unused:
        plural = "s" * (len(unused) > 1)
        notes.append(f"{len(unused)} other column{plural} left out: {listed(unused)}")
    return chosen, tuple(notes)


def read_ids(rows: ArrowRows, index: Sequence[str], n: int) -> NDArray[Any] | None:
    """Read the identities of the first n rows, (n,), from columns or a range of pandas.

    None stands for 0, 1, ....
    """
    if not index:
        levels = _pandas_index(rows)
        texts = [str(value) for value in levels[:n]] if isinstance(levels, range) else []
    else:
        columns = [[_identity(v) for v in islice(objects_of(rows, name), n)] for name in index]
        texts = [", ".join(map(str, values)) for values in zip(*columns, strict=True)]
        texts = [f"row {row}" if text == "" else text for row, text in enumerate(texts)]
    return to_ids(texts) if texts and texts != [*map(str, range(n))] else None


def _without(rows: ArrowRows, excluded: set[str]) -> ArrowRows:
    import pyarrow

    fields = [field for field in rows.schema if field.name not in excluded]
    return replace(rows, schema=pyarrow.schema(fields, metadata=rows.schema.metadata))


def _has_classes(rows: ArrowRows, name: str) -> bool:
    """Return whether a column has strings, categories, or numbers without a fraction."""
    from pyarrow import types

    kind = rows.schema.field(name).type
    is_string = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if is_string or types.is_dictionary(kind) or types.is_integer(kind) or types.is_boolean(kind):
        return True
    if types.is_binary(kind) and rows.form is not None:
        return True  # of another encoding, which is refused when the labels are read
    if not (types.is_floating(kind) or types.is_decimal(kind)):
        return False
    parts = [numbers_of(rows, name, batch.column(0)) for batch in rows.batches([name])]
    values = np.concatenate(parts)
    values = values[~np.isnan(values)]
    return bool(len(values)) and bool((values == np.rint(values)).all())


def _pandas_index(rows: ArrowRows) -> list[Any] | range:
    """Return the columns of a pandas index, or a range of one number for each row."""
    try:
        levels = (rows.schema.pandas_metadata or {}).get("index_columns", [])
        if len(levels) == 1 and isinstance(levels[0], dict):
            numbers = range(*(int(levels[0][key]) for key in ("start", "stop", "step")))
            is_whole = len(numbers) == rows.n
            _ = np.array([numbers[0], numbers[-1]], np.int64)  # raises for larger integers
            return numbers if is_whole else []
        return list(levels)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return []  # metadata that pandas did not write


def _match(rows: ArrowRows, names: list[str], recorded: list[str]) -> list[str]:
    """Return the columns of recorded names in their order; elements stand for a column of lists."""
    columns: dict[str, None] = {}
    missing = []
    for name in recorded:
        element = _ELEMENT.fullmatch(name)
        if name in names:
            columns[name] = None
        elif element and element[1] in names and is_list(rows.schema.field(element[1]).type):
            columns[element[1]] = None
        else:
            missing.append(name)
    if missing:
        verb = "which the run was trained on"
        raise UserError(
            f"{rows.what} lacks {listed([repr(name) for name in missing])}, {verb}; it has "
            f"{listed(names)}.{suggest(missing[0], names)}"
        )
    return list(columns)


def _check_numbers(rows: ArrowRows, chosen: list[str], names: list[str]) -> None:
    more = f" ({rows.unnamed})" if rows.unnamed else ""
    faults = [name for name in chosen if name in rows.faults]
    if faults:
        more += f" ({len(faults) - 1:,} more such columns)" if len(faults) > 1 else ""
        raise UserError(f"In {rows.what}, {rows.faults[faults[0]]}.{more}")
    numeric = [name for name in chosen if is_number(rows.schema.field(name).type)]
    other = [name for name in chosen if name not in numeric]
    if not numeric:
        beside = f", but {listed(_typed(rows, other))}" if other else ""
        raise UserError(
            f"{rows.what} has no column of numbers or images{beside}; give a table with some."
        )
    if other:
        columns, key = (other, "without")
        if chosen != names or len(numeric) < len(other):
            columns, key = (numeric, "columns")
        raise UserError(
            f"{rows.what} has columns without numbers: {listed(_typed(rows, other))}{more}; leave "
            f"them out, {rows.advice(key, *columns)}, or use one as labels or as names of the rows,"
            f" {rows.advice('label', other[0])} or {rows.advice('index', other[0])}."
        )
    unnamed = [name for name in chosen if is_unnamed(name)]
    if unnamed and chosen == names:
        raise UserError(
            f"{rows.what} has a column of numbers without a name, '{unnamed[0]}'; give it a name, "
            f"or leave it out, {rows.advice('without', unnamed[0])}."
        )


def _typed(rows: ArrowRows, names: list[str]) -> list[str]:
    """Return names of columns with the types of those that are no strings."""
    from pyarrow import types

    kinds = {name: rows.schema.field(name).type for name in names}
    return [
        name if types.is_string(kind) or types.is_large_string(kind) else f"{name} ({kind})"
        for name, kind in kinds.items()
    ]


def _identity(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "" if value is None else printable(str(value).strip())
