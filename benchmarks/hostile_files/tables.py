"""Table files, damaged, unusual, or decompression bombs: .csv and .parquet."""

import io
import json
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from .damage import Maker, Random, damaged
from .places import good_image

__all__ = ["CSV", "PARQUET"]

_CELLS = (
    "1", "-1", "", "nan", "inf", "1e999", "9" * 400, "true", "x", "\x1b[31m", '"', '"a,b"', "\0",
)  # fmt: skip


def _csv(random: Random) -> bytes:
    rows = random.random((6, 3)).round(3).tolist()
    return "\n".join(["a,b,label", *(",".join(map(str, row)) for row in rows)]).encode()


def _strange_csv(random: Random) -> bytes:
    lines = _csv(random).decode().split("\n")
    for _ in range(int(random.integers(1, 4))):
        place = int(random.integers(0, len(lines)))
        cells = lines[place].split(",")
        cells[int(random.integers(0, len(cells)))] = _CELLS[int(random.integers(0, len(_CELLS)))]
        lines[place] = ",".join(cells)
    wide = ",".join("a" * 10**4) + "\n" + "1," * 10**4
    choices = ["a,a\n1,2\n", "a" * 10**6, wide, *["\n".join(lines)] * 6]
    return choices[int(random.integers(0, len(choices)))].encode("utf-8", "surrogateescape")


def _parquet(table: pyarrow.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def _numbers(random: Random) -> bytes:
    return _parquet(pyarrow.table({"a": random.random(9), "label": random.integers(0, 3, 9)}))


def _pictures(random: Random) -> bytes:
    image = good_image()
    images = [image, image[:40], b"", image]
    return _parquet(pyarrow.table({"image": images, "label": [0, 1, 0, 1]}))


def _strange(random: Random) -> bytes:
    image = good_image()
    columns: list[Any] = [
        {"a": [[1, 2], [3]]},
        {"a": [None, None]},
        {"a": ["x", "\x1b[31m"], "label": [[1], [2, 3]]},
        {"a": [1.0, 2.0], "label": [2**63 - 1, -1]},
        {"image": [{"bytes": None, "path": "/etc/passwd"}, {"bytes": None, "path": "/dev/zero"}]},
        {"image": [{"bytes": None, "path": "a\0b"}, {"bytes": image, "path": None}]},
        {"image": [{"bytes": image}, {"bytes": b"\x80"}], "label": ["\x1b[2J", "b"]},
        {"image": [image, image], "label": [0, 99]},
        {"a": np.array([1, 2], "M8[s]")},
        {"a": pyarrow.array([1, 2], pyarrow.decimal128(38, 0))},
        {},
    ]
    told = [
        "{", "[" * 5000, "7", '{"info": 7}', '{"info": {"features": {"label": 7, "nowhere": 8}}}',
        '{"info": {"features": {"label": {"_type": "ClassLabel", "names": [1, "\\u001b[2J"]}}}}',
        '{"info": {"features": {"nowhere": {"_type": "Image"}}}}', json.dumps({"info": []}),
    ]  # fmt: skip
    table = pyarrow.table(columns[int(random.integers(0, len(columns)))])
    text = told[int(random.integers(0, len(told)))]
    if random.random() < 0.5:
        table = table.replace_schema_metadata({"huggingface": text})
    return _parquet(table)


def _bomb(random: Random) -> bytes:
    """Repeat one value very often, in few bytes."""
    if random.random() < 0.6:
        zeros = np.zeros(80_000_000, np.float32)
        return _parquet(pyarrow.table({"a": zeros}), compression="zstd")
    image = good_image() + bytes(4_000_000)
    column = pyarrow.DictionaryArray.from_arrays(np.zeros(3000, np.int32), pyarrow.array([image]))
    # The schema would say that it is a dictionary, and readers would take it for words.
    return _parquet(pyarrow.table({"image": column}), compression="zstd", store_schema=False)


CSV: dict[str, Maker] = {**damaged(_csv), "whole": _csv, "strange cells": _strange_csv}
PARQUET: dict[str, Maker] = {
    **damaged(_numbers),
    "damaged pictures": lambda random: damaged(_pictures)["bits flipped"](random),
    "whole": _pictures,
    "strange columns": _strange,
    "unpacks to much": _bomb,
}
