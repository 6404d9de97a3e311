"""Rows of an Arrow table, whoever keeps it: encoded images, or columns of numbers."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from glo.data.column_spec import ColumnSpec
from glo.data.dataset import Dataset
from glo.data.limits import check_memory, check_room
from glo.data.options import SourceOptions
from glo.data.pixels import fit, recolour
from glo.data.readers.arrays import convert, lay_out
from glo.data.readers.arrow_values import (
    ArrowRows,
    check_length,
    floats_of,
    labels_of,
    told_of,
    values_of,
)
from glo.data.readers.folder import attempt, common_size, in_order
from glo.data.readers.images import Probe, decoded, probe
from glo.data.row_writer import RowWriter
from glo.data.storage import ROWS
from glo.errors import UserError, listed, suggest

__all__ = ["ArrowRows", "number_columns", "open_arrow"]

_LABELS = ("label", "labels", "class")
_IMAGES = ("image", "img", "picture")
# What pandas calls the index that it puts among the columns.
_INDEX = "__index_level_"
_COLOUR_PROBES = 64


def open_arrow(
    rows: ArrowRows, options: SourceOptions, choice: ColumnSpec, room: Path | None
) -> Dataset:
    """Make a set of a table: of its column of images, or else of its columns of numbers.

    A column of images holds encoded files: bytes, or the records of Hugging Face. Labels are the
    column that Hugging Face says is one, or one of whole numbers or words that is called label,
    labels or class.

    Args:
        rows: the table.
        options: as for any source.
        choice: columns by name.
        room: folder that images are streamed to, or None for memory.

    Raises:
        UserError: a column is not there or cannot be used, or there is no row.
    """
    _check_rows(rows)
    _check_names(rows, choice)
    rows = _without(rows, choice)
    label = _label_column(rows, choice)
    image = "" if choice.columns else choice.image or _image_column(rows)
    if image:
        return _pictures(rows, image, label, options, room)
    return _vectors(rows, choice, label, options)


def number_columns(rows: ArrowRows, choice: ColumnSpec) -> list[str]:
    """Return the columns of a table whose numbers are vectors, as `open_arrow` finds them.

    A column of which nothing is known is one of them: of a few rows with gaps many are.

    Raises:
        UserError: a column is not there or holds no numbers, or there is no row.
    """
    _check_rows(rows)
    _check_names(rows, choice)
    rows = _without(rows, choice)
    return _number_columns(rows, choice, _label_column(rows, choice), empty=True)


def _check_rows(rows: ArrowRows) -> None:
    if not rows.n:
        raise UserError(f"{rows.what} is empty; give at least one example.")


def _check_names(rows: ArrowRows, choice: ColumnSpec) -> None:
    twice = [name for name, count in Counter(rows.schema.names).items() if count > 1]
    if twice:
        raise UserError(
            f"{rows.what} has two columns of one name, '{twice[0]}'; give each its own (the first "
            f"line of a .csv file holds the names)."
        )
    named = [choice.image, choice.label if choice.label != "none" else ""]
    for name in (*named, *choice.columns.split(","), *choice.without.split(",")):
        if name and name not in rows.schema.names:
            raise UserError(
                f"{rows.what} has no column '{name}'; it has {listed(rows.schema.names)}."
                f"{suggest(name, rows.schema.names)}"
            )


def _without(rows: ArrowRows, choice: ColumnSpec) -> ArrowRows:
    if not choice.without:
        return rows
    import pyarrow

    # A column that is named as the label or the image is one, and not among the numbers anyway.
    out = {*choice.without.split(",")} - {choice.label, choice.image}
    kept = [field for field in rows.schema if field.name not in out]
    return replace(rows, schema=pyarrow.schema(kept, metadata=rows.schema.metadata))


def _label_column(rows: ArrowRows, choice: ColumnSpec) -> str:
    if choice.label:
        return "" if choice.label == "none" else choice.label
    told = list(told_of(rows, "ClassLabel"))
    usual = [name for name in _LABELS if name in rows.schema.names]
    plain = [name for name in usual if name in told or _is_class(rows.schema.field(name).type)]
    return (plain or told or [""])[0]


def _is_class(kind: Any) -> bool:
    from pyarrow import types

    return bool(
        types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_dictionary(kind)
    )


def _image_column(rows: ArrowRows) -> str:
    found = list(told_of(rows, "Image")) or [
        field.name for field in rows.schema if _holds_files(field.type)
    ]
    usual = [name for name in _IMAGES if name in found]
    if len(found) > 1 and len(usual) != 1:
        raise UserError(
            f"{rows.what} has {len(found)} columns of images: {listed(found)}; name one, as "
            f"SOURCE?image={found[0]}."
        )
    return (usual or found or [""])[0]


def _holds_files(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return "bytes" in [kind.field(place).name for place in range(kind.num_fields)]
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _pictures(
    rows: ArrowRows, image: str, label: str, options: SourceOptions, room: Path | None
) -> Dataset:
    most = min(rows.n, options.limit or rows.n)
    with ThreadPoolExecutor() as pool:
        (height, width), channels = _target(rows, image, options, pool)
        shape = (height, width, channels)

        def load(file: Path | BinaryIO) -> NDArray[np.uint8]:
            with decoded(file) as pixels:
                return fit(recolour(pixels[None], channels), (height, width), options.crop)

        size = most * height * width * channels
        check_memory(size) if room is None else check_room(room, size)
        writer = RowWriter(None if room is None else room / ROWS, shape, np.uint8, most=most)
        kept, skipped = [], []
        try:
            results = in_order(pool, attempt(load), _files(rows, image))
            for row, result in enumerate(results):
                if isinstance(result, str):
                    skipped.append(f"row {row}: {result}")
                    continue
                writer.append(result)
                kept.append(row)
                if len(kept) == most:
                    break
            if not kept:
                raise UserError(
                    f"{rows.what} holds no image that can be read ({'; '.join(skipped[:3])}); "
                    f"check its column '{image}'."
                )
            pixels = writer.finish()
        finally:
            writer.close()
    marks, names = labels_of(rows, label, np.array(kept))
    return Dataset(
        rows=pixels, labels=marks, label_names=names, name=rows.name, skipped=tuple(skipped)
    )


def _target(
    rows: ArrowRows, image: str, options: SourceOptions, pool: ThreadPoolExecutor
) -> tuple[tuple[int, int], int]:
    if options.size is not None and options.channels is not None:
        return (options.size, options.size), options.channels
    looked_at = options.limit if options.size is None else _COLOUR_PROBES
    results = in_order(pool, attempt(probe), islice(_files(rows, image), looked_at))
    probes = [result for result in results if isinstance(result, Probe)]
    colour = any(found.is_colour for found in probes[:_COLOUR_PROBES])
    size = (options.size, options.size) if options.size is not None else common_size(probes)
    return size, options.channels or (3 if colour else 1)


def _files(rows: ArrowRows, image: str) -> Iterator[Path | BinaryIO]:
    total = 0
    for batch in rows.batches([image]):
        for value in values_of(rows, batch):
            held = value.get("bytes") if isinstance(value, dict) else value
            path = value.get("path") if isinstance(value, dict) else None
            if held is None and isinstance(path, str) and path:
                yield Path(path)
            else:
                # Of nothing, pillow says that it is no image.
                content = held if isinstance(held, bytes) else b""
                total += len(content)
                check_length(rows, total)
                yield BytesIO(content)


def _vectors(rows: ArrowRows, choice: ColumnSpec, label: str, options: SourceOptions) -> Dataset:
    names = _number_columns(rows, choice, label)
    check_length(rows, 4 * len(names) * min(rows.n, options.limit or rows.n))
    parts: list[NDArray[np.float32]] = []
    for batch in rows.batches(names):
        parts.append(np.stack([floats_of(rows, batch.column(name)) for name in names], axis=1))
        if options.limit and sum(map(len, parts)) >= options.limit:
            break
    values = np.concatenate(parts)[: options.limit]
    marks, words = labels_of(rows, label, np.arange(len(values)))
    vectors = convert(lay_out(values, options, rows.what), None)
    return Dataset(
        rows=vectors, labels=marks, label_names=words, name=rows.name, skipped=rows.skipped
    )


def _number_columns(
    rows: ArrowRows, choice: ColumnSpec, label: str, *, empty: bool = False
) -> list[str]:
    asked = [name for name in choice.columns.split(",") if name]
    rest = [name for name in rows.schema.names if name != label and not name.startswith(_INDEX)]
    other = [
        name for name in asked or rest if not _is_number(rows.schema.field(name).type, empty=empty)
    ]
    if other:
        numbers = [name for name in asked or rest if name not in other]
        short = asked or len(numbers) < len(other)
        mend = f"columns={_typed(numbers) or 'a,b'}" if short else f"without={_typed(other)}"
        raise UserError(
            f"{rows.what} has columns without numbers: {listed(other)}; leave them out, as "
            f"SOURCE?{mend}, or name one as SOURCE?label={other[0]}."
        )
    if not (asked or rest):
        raise UserError(f"{rows.what} has no column of numbers or images; give a table with some.")
    return asked or rest


def _typed(names: list[str]) -> str:
    return listed(names, comma=",", rest=",...")


def _is_number(kind: Any, *, empty: bool) -> bool:
    from pyarrow import types

    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return bool(is_number or (empty and types.is_null(kind)))
