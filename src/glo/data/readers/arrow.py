"""Arrow tables as datasets: a column of encoded images, or columns of numbers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from glo.data.column_spec import ColumnSpec
from glo.data.dataset import Dataset
from glo.data.labels import UNLABELED, encode_labels
from glo.data.options import SourceOptions
from glo.data.readers.arrays import convert_rows, infer_layout
from glo.data.readers.arrow_rows import (
    ArrowRows,
    check_unpacked_size,
    declared_columns,
    is_list,
    objects_of,
    read_numbers,
)
from glo.data.readers.columns import (
    check_columns,
    choose_features,
    choose_index,
    choose_label,
    has_names,
    read_ids,
)
from glo.data.readers.image_files import decode_files
from glo.data.readers.suspect_columns import Ranges, blank_columns, column_ranges, gap_notes
from glo.data.reading import Reading
from glo.errors import UserError, listed, printable

__all__ = ["open_arrow", "open_numbers"]

_IMAGES = ("image", "img", "picture")
_IDENTIFIER = re.compile(r"(.*[\s_.-])?(id|idx|index|row|rows|no|nr|number|num|key|uid)", re.I)


def open_arrow(
    rows: ArrowRows, options: SourceOptions, spec: ColumnSpec, folder: Path | None
) -> Dataset:
    """Make a dataset of a table: of its column of images, or else of its columns of numbers.

    A column of images has encoded files: bytes, or the records of Hugging Face. Labels are the
    `ClassLabel` column of Hugging Face, or a column of classes named label, labels or class. The
    index of a pandas table identifies the rows. Columns are matched by name with those of
    `options.reading`.
    """
    rows = check_columns(rows, spec)
    image = "" if spec.columns else spec.image or _image_column(rows)
    if not image:
        return open_numbers(rows, options, spec)[0]
    label, notes = choose_label(rows, spec, options.reading)
    index, _ = choose_index(rows, spec, options.reading)
    missing = spec.missing or (options.reading.missing if options.reading else ())
    dataset = _open_images(rows, image, label or "", index, options, folder, missing)
    return dataset.replace(notes=(*dataset.notes, *notes))


def open_numbers(
    rows: ArrowRows, options: SourceOptions, spec: ColumnSpec
) -> tuple[Dataset, list[str]]:
    """Make a dataset of the columns of numbers of a table, and return their names.

    Columns without a value are left out unless a run has them.
    """
    reading = options.reading
    missing = spec.missing or (reading.missing if reading else ())
    label, label_notes = choose_label(rows, spec, reading)
    index, index_notes = choose_index(rows, spec, reading)
    others = (*index, *([] if label is None else [label]))
    features, notes = choose_features(rows, spec, reading, others)
    values, names = read_numbers(rows, features, options.limit, missing)
    notes = (*rows.notes, *index_notes, *label_notes, *notes)
    if reading is None:
        low, high = column_ranges(values)
        is_blank = blank_columns((low, high))
        blank = [n for n, empty in zip(names, is_blank, strict=True) if empty and n in features]
        features = [name for name in features if name not in blank]
        if not features:
            raise UserError(f"{rows.what} has no number in {listed(blank)}; give some.")
        if blank:
            notes += (f"columns without a value, which are left out: {listed(blank)}",)
            kept = [name not in blank for name in names]
            values, low, high = values[:, kept], low[kept], high[kept]
            names = [name for name in names if name not in blank]
        notes += _value_notes(rows, features, values, names, (low, high))
    _check_finite(rows, values, names)
    layout = infer_layout(values, options, rows.what)
    if layout.wide_columns and reading is None:
        wide = listed([names[place] for place in layout.wide_columns])
        notes += (f"float32 would round the differences in {wide}: all columns stay float64",)
    labels, label_names = _read_labels(rows, label or "", np.arange(len(values)), missing)
    if label is not None and labels is not None and reading is None:
        notes += (_label_note(label, labels, label_names),)
    dataset = Dataset(
        rows=convert_rows(layout, None)[0],
        labels=labels,
        label_names=label_names,
        name=rows.name,
        ids=read_ids(rows, index, len(values)),
        reading=_reading(rows, layout.reading, names, label, index, missing),
        notes=notes if reading else (_summary(rows, values, names, index), *notes),
    )
    return dataset, features


def _check_finite(rows: ArrowRows, values: NDArray[np.float64], names: Sequence[str]) -> None:
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(np.abs(values) > np.finfo(np.float32).max)
    if len(wrong):
        row, place = wrong[0].tolist()
        of_file = f"{row} (from 0)" if rows.form is None else f"{row + rows.form.first_row:,}"
        value = f"{values[row, place]:g}"
        raise UserError(
            f"In {rows.what}, column '{names[place]}' has {value} in row {of_file}; repair or scale"
            f" it, or read it as missing, {rows.advice('missing', value)}."
        )


def _reading(
    rows: ArrowRows,
    vectors: Reading,
    names: Sequence[str],
    label: str | None,
    index: Sequence[str],
    missing: tuple[str, ...],
) -> Reading:
    form = rows.form
    return replace(
        vectors,
        columns=tuple(names) if has_names(rows, names) else (),
        label=label or "",
        index=_index_name(index),
        separator=form.separator if form else "",
        decimal=form.decimal if form else "",
        thousands=form.thousands if form else "",
        missing=missing,
    )


def _index_name(index: Sequence[str]) -> str:
    """Return the name of an index as a `Reading` has it, empty for one of several levels."""
    return index[0] if len(index) == 1 else ""


def _summary(
    rows: ArrowRows, values: NDArray[Any], names: Sequence[str], index: Sequence[str]
) -> str:
    missing = int(np.isnan(values).sum())
    parts = [_count(len(values), "row"), f"{_count(len(names), 'column')} of numbers"]
    parts[1] += f" ({listed(names)})"
    parts += [f"index {', '.join(map(repr, index))}"] if any(index) else []
    parts += [_count(missing, "missing cell")] if missing else []
    return printable(f"{rows.name}: {', '.join(parts)}")


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _label_note(label: str, labels: NDArray[np.int64], names: Sequence[str]) -> str:
    counts = np.bincount(labels + 1, minlength=len(names) + 1)
    classes = [f"{name} {count:,}" for name, count in zip(names, counts[1:], strict=True)]
    without = f", {counts[0]:,} without" if counts[0] else ""
    return printable(f"labels from column '{label}': {listed(classes)}{without}")


def _value_notes(
    rows: ArrowRows,
    features: Sequence[str],
    values: NDArray[Any],
    names: Sequence[str],
    ranges: Ranges,
) -> tuple[str, ...]:
    """Return a sentence for each column whose numbers may not be what they seem."""
    from pyarrow import types

    notes: list[str] = []
    for name in features:
        if types.is_duration(rows.schema.field(name).type):
            notes.append(f"column '{name}' has durations, read in seconds")
        elif is_list(rows.schema.field(name).type):
            notes.append(f"column '{name}' has lists, read as {name}[0], {name}[1], ...")
    counts = len(values) > 2 and (np.diff(values, axis=0) == 1).all(axis=0)
    for place in np.flatnonzero(counts).tolist():
        if _IDENTIFIER.fullmatch(names[place]):
            notes.append(
                f"column '{names[place]}' counts the rows and is taken as a feature; if it only "
                f"identifies them, give it {rows.advice('index', names[place])}"
            )
    quoted = [f"'{name}'" for name in names]
    marks = gap_notes(values, quoted, ranges, lambda m: f"give it {rows.advice('missing', m)}")
    return (*notes, *marks)


def _image_column(rows: ArrowRows) -> str:
    if rows.form is not None:
        return ""  # bytes in a .csv file are text of another encoding
    columns = list(declared_columns(rows, "Image")) or [
        field.name for field in rows.schema if _is_encoded_file(field.type)
    ]
    usual = [name for name in _IMAGES if name in columns]
    if len(columns) > 1 and len(usual) != 1:
        raise UserError(
            f"{rows.what} has {len(columns)} columns of images: {listed(columns)}; name one, "
            f"{rows.advice('image', columns[0])}."
        )
    return (usual or columns or [""])[0]


def _is_encoded_file(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return "bytes" in [kind.field(place).name for place in range(kind.num_fields)]
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _open_images(
    rows: ArrowRows,
    image: str,
    label: str,
    index: Sequence[str],
    options: SourceOptions,
    folder: Path | None,
    missing: tuple[str, ...],
) -> Dataset:
    skipped: list[str] = []

    def on_error(row: int, reason: str) -> None:
        skipped.append(f"row {row}: {reason}")

    files = decode_files(lambda: _files(rows, image), rows.n, options, folder, on_error)
    if files.rows is None:
        raise UserError(
            f"{rows.what} has no image that can be read ({'; '.join(skipped[:3])}); check its "
            f"column '{image}'."
        )
    numbers = np.array(files.numbers)
    labels, names = _read_labels(rows, label, numbers, missing)
    ids = read_ids(rows, index, rows.n)
    notes = () if labels is None else (_label_note(label, labels, names),)
    return Dataset(
        rows=files.rows,
        labels=labels,
        label_names=names,
        name=rows.name,
        skipped=tuple(skipped),
        ids=ids[numbers] if ids is not None else numbers if skipped else None,
        reading=replace(files.reading, label=label, index=_index_name(index), missing=missing),
        notes=(*files.notes, *notes),
    )


def _files(rows: ArrowRows, image: str) -> Iterator[Path | BinaryIO]:
    total = 0
    for value in objects_of(rows, image):
        content = value.get("bytes") if isinstance(value, dict) else value
        path = value.get("path") if isinstance(value, dict) else None
        if content is None and isinstance(path, str) and path:
            yield Path(path)
            continue
        # Pillow refuses empty content.
        content = content if isinstance(content, bytes) else b""
        total += len(content)
        check_unpacked_size(rows, total)
        yield BytesIO(content)


def _read_labels(
    rows: ArrowRows, label: str, index: NDArray[np.int64], missing: Sequence[str]
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Return the labels of the chosen rows, int64 (n,), and their names; None without a column."""
    if not label:
        return None, ()
    what = f"The column '{label}' of {rows.what}"
    values = list(objects_of(rows, label))
    chosen = [values[row] for row in index.tolist()]
    classes = declared_columns(rows, "ClassLabel").get(label, {}).get("names")
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        names = tuple(map(printable, classes))
        return _class_numbers(chosen, names, what), names
    return encode_labels([_class_name(rows, value, missing) for value in chosen], what)


def _class_name(rows: ArrowRows, value: Any, missing: Sequence[str]) -> Any:
    """Return a value as `encode_labels` takes it: dates and decimals as their texts."""
    if isinstance(value, bytes) and rows.form is not None:
        raise UserError(
            f"{rows.what} has labels that are not UTF-8; save it as UTF-8, for example by iconv -f "
            f"CP1252 -t UTF-8."
        )
    if str(value).strip() in missing:
        return None
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return str(value) if isinstance(value, date | time | timedelta) else value


def _class_numbers(values: list[Any], names: tuple[str, ...], what: str) -> NDArray[np.int64]:
    """Return the values of a `ClassLabel` column, numbers of its names, -1 or None for none."""
    numbers = [UNLABELED if value is None else value for value in values]
    if not all(type(n) is int and UNLABELED <= n < len(names) for n in numbers):
        raise UserError(f"{what} has numbers beyond its {len(names)} class names; repair it.")
    return np.array(numbers, np.int64)
