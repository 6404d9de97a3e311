"""Arrow tables as datasets: a column of encoded images, or columns of numbers."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
from numpy.typing import NDArray

from glo.data.column_spec import ColumnSpec
from glo.data.dataset import Dataset
from glo.data.labels import UNLABELED, encode_labels
from glo.data.options import SourceOptions
from glo.data.readers.arrays import convert_rows, infer_layout
from glo.data.readers.compressed import check_expansion
from glo.data.readers.image_files import decode_files
from glo.errors import UserError, listed, printable, suggest
from glo.utils.json_toml import parse_json

__all__ = [
    "ArrowRows",
    "check_unpacked_size",
    "number_columns",
    "open_arrow",
    "short_reason",
    "to_float32",
]

_LABELS = ("label", "labels", "class")
_IMAGES = ("image", "img", "picture")
# Prefix of the index that pandas writes among the columns.
_INDEX = "__index_level_"


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


def open_arrow(
    rows: ArrowRows, options: SourceOptions, spec: ColumnSpec, folder: Path | None
) -> Dataset:
    """Make a dataset of a table: of its column of images, or else of its columns of numbers.

    A column of images has encoded files: bytes, or the records of Hugging Face. Labels are the
    `ClassLabel` column of Hugging Face, or a column of integers or strings named label, labels or
    class.
    """
    rows, label = _resolve(rows, spec)
    image = "" if spec.columns else spec.image or _image_column(rows)
    if image:
        return _open_images(rows, image, label, options, folder)
    names = _number_columns(rows, spec, label)
    check_unpacked_size(rows, 4 * len(names) * min(rows.n, options.limit or rows.n))
    parts: list[np.ndarray] = []
    for batch in rows.batches(names):
        parts.append(np.stack([to_float32(rows, batch.column(name)) for name in names], axis=1))
        if options.limit and sum(map(len, parts)) >= options.limit:
            break
    values = np.concatenate(parts)[: options.limit]
    labels, label_names = _read_labels(rows, label, np.arange(len(values)))
    return Dataset(
        rows=convert_rows(infer_layout(values, options, rows.what), None),
        labels=labels,
        label_names=label_names,
        name=rows.name,
        skipped=rows.skipped,
    )


def number_columns(rows: ArrowRows, spec: ColumnSpec) -> list[str]:
    """Return the columns that `open_arrow` reads as vectors, and those without any value."""
    rows, label = _resolve(rows, spec)
    return _number_columns(rows, spec, label, allow_null=True)


def _resolve(rows: ArrowRows, spec: ColumnSpec) -> tuple[ArrowRows, str]:
    """Return the rows without the excluded columns, and the name of the column of labels or ""."""
    if not rows.n:
        raise UserError(f"{rows.what} is empty; give at least one example.")
    names = rows.schema.names
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(
            f"{rows.what} has two columns of one name, '{repeated[0]}'; give unique names (the "
            f"first line of a .csv file has the names)."
        )
    single = [spec.image, spec.label if spec.label != "none" else ""]
    for name in (*single, *spec.columns.split(","), *spec.without.split(",")):
        if name and name not in names:
            raise UserError(
                f"{rows.what} has no column '{name}'; it has {listed(names)}.{suggest(name, names)}"
            )
    if spec.without:
        import pyarrow

        # A column named as label or image is no number column anyway.
        excluded = {*spec.without.split(",")} - {spec.label, spec.image}
        fields = [field for field in rows.schema if field.name not in excluded]
        rows = replace(rows, schema=pyarrow.schema(fields, metadata=rows.schema.metadata))
    return rows, "" if spec.label == "none" else spec.label or _label_column(rows)


def _label_column(rows: ArrowRows) -> str:
    declared = list(_feature_columns(rows, "ClassLabel"))
    usual = [name for name in _LABELS if name in rows.schema.names]
    usual = [name for name in usual if name in declared or _is_class(rows.schema.field(name).type)]
    return (usual or declared or [""])[0]


def _is_class(kind: Any) -> bool:
    from pyarrow import types

    is_string = types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind)
    return bool(is_string or types.is_integer(kind) or types.is_boolean(kind))


def _image_column(rows: ArrowRows) -> str:
    columns = list(_feature_columns(rows, "Image")) or [
        field.name for field in rows.schema if _is_encoded_file(field.type)
    ]
    usual = [name for name in _IMAGES if name in columns]
    if len(columns) > 1 and len(usual) != 1:
        raise UserError(
            f"{rows.what} has {len(columns)} columns of images: {listed(columns)}; name one, as "
            f"SOURCE?image={columns[0]}."
        )
    return (usual or columns or [""])[0]


def _is_encoded_file(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return "bytes" in [kind.field(place).name for place in range(kind.num_fields)]
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _open_images(
    rows: ArrowRows, image: str, label: str, options: SourceOptions, folder: Path | None
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
    labels, names = _read_labels(rows, label, np.array(files.numbers))
    return Dataset(
        rows=files.rows,
        labels=labels,
        label_names=names,
        name=rows.name,
        skipped=tuple(skipped),
        reading=files.reading,
        notes=files.notes,
    )


def _files(rows: ArrowRows, image: str) -> Iterator[Path | BinaryIO]:
    total = 0
    for batch in rows.batches([image]):
        for value in _python_values(rows, batch):
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


def _number_columns(
    rows: ArrowRows, spec: ColumnSpec, label: str, *, allow_null: bool = False
) -> list[str]:
    from pyarrow import types

    def is_number(kind: Any) -> bool:
        is_real = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        return bool(is_real or (allow_null and types.is_null(kind)))

    named = [name for name in spec.columns.split(",") if name]
    columns = named or [
        name for name in rows.schema.names if name != label and not name.startswith(_INDEX)
    ]
    other = [name for name in columns if not is_number(rows.schema.field(name).type)]
    if other:
        numeric = [name for name in columns if name not in other]
        names, key = (other, "without")
        if named or len(numeric) < len(other):
            names, key = (numeric, "columns")
        example = listed(names, comma=",", rest=",...") or "a,b"
        raise UserError(
            f"{rows.what} has columns without numbers: {listed(other)}; leave them out, as "
            f"SOURCE?{key}={example}, or name one as SOURCE?label={other[0]}."
        )
    if not columns:
        raise UserError(f"{rows.what} has no column of numbers or images; give a table with some.")
    return columns


def _feature_columns(rows: ArrowRows, kind: str) -> dict[str, Any]:
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


def _python_values(rows: ArrowRows, batch: Any) -> list[Any]:
    """Return the first column of a batch as Python objects."""
    with _readable(rows):
        values: list[Any] = batch.column(0).to_pylist()
    return values


def _read_labels(
    rows: ArrowRows, label: str, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Return the labels of the chosen rows, int64 (n,), and their names; None without a column."""
    if not label:
        return None, ()
    what = f"The column '{label}' of {rows.what}"
    values = [value for batch in rows.batches([label]) for value in _python_values(rows, batch)]
    chosen = [values[row] for row in index.tolist()]
    classes = _feature_columns(rows, "ClassLabel").get(label, {}).get("names")
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        names = tuple(map(printable, classes))
        return _class_numbers(chosen, names, what), names
    return encode_labels(chosen, what)


def _class_numbers(values: list[Any], names: tuple[str, ...], what: str) -> NDArray[np.int64]:
    """Return the values of a `ClassLabel` column, numbers of its names, -1 or None for none."""
    numbers = [UNLABELED if value is None else value for value in values]
    if not all(type(n) is int and UNLABELED <= n < len(names) for n in numbers):
        raise UserError(f"{what} has numbers beyond its {len(names)} class names; repair it.")
    return np.array(numbers, np.int64)


def short_reason(error: BaseException) -> str:
    """Return the message of an error in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200].rstrip(".")
