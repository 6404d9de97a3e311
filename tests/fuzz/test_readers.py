"""Fuzz tests: readers accept malformed files or raise UserError with a printable message."""

import json
import struct
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.targets import Readers

# Derandomized: the same examples on every machine. benchmarks/fuzz_atheris.py is coverage-guided.
LIGHT = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=8,
    suppress_health_check=list(HealthCheck),
)
DEEP = settings(LIGHT, max_examples=150)

BYTES = (
    "image", "mask", "npy", "npz", "idx", "tensors", "digit network", "row numbers", "request",
    "decoder", "averaged", "optimizer", "statistics", "codes", "manifest", "errors", "labels",
    "gaussian prior", "mixture prior", "imle prior", "flow-matching prior", "config", "summary",
    "journal", "estimator", "facts of a set", "rows of a set",
)  # fmt: skip
JSONS = ("manifest", "summary", "estimator", "facts of a set", "journal", "request")
TENSORS = (
    "tensors", "decoder", "averaged", "optimizer", "statistics", "codes", "errors", "labels",
    "gaussian prior", "mixture prior", "imle prior", "flow-matching prior",
)  # fmt: skip

# A sample of all relevant kinds: the full table of Unicode takes seconds to build.
LETTERS = "abz_09.-/ é😀\n\x00\x1b\ud800\u202e"
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 2**31, 2**63, 10**400])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | st.text(LETTERS, max_size=9)
    | st.sampled_from(["F32", "mlp"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(LETTERS, max_size=4), inner)
    ),
    max_leaves=8,
)
# Edits of a file: (position as a fraction of its length or a small offset, bytes written there).
EDITS = st.lists(
    st.tuples(st.floats(0, 0.999) | st.integers(0, 64), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=5,
)


def edited(seed: bytes, edits: list[tuple[float, bytes]], end: float) -> bytes:
    """Apply `edits` to a seed file and cut it at the fraction `end` of its length."""
    content = bytearray(seed)
    for position, piece in edits:
        first = int(position * len(content)) if isinstance(position, float) else position
        content[first : first + len(piece)] = piece
    return bytes(content[: int(end * len(content))])


def replaced(values: Any, path: list[int], new: Any) -> Any:
    """Return a copy of a JSON value with the element at `path` replaced."""
    if not path or not isinstance(values, dict | list) or not values:
        return new
    copy: Any = values.copy()
    key = (list(copy) if isinstance(copy, dict) else range(len(copy)))[path[0] % len(copy)]
    copy[key] = replaced(copy[key], path[1:], new)
    return copy


def read(readers: Readers, name: str, content: bytes) -> bool:
    with warnings.catch_warnings():
        # Pillow warns about unusual images.
        warnings.simplefilter("ignore")
        return readers.read(name, content)


def test_every_reader_has_a_target(readers: Readers) -> None:
    assert set(BYTES) == set(readers.targets) == set(readers.seeds)


@pytest.mark.parametrize("name", BYTES)
def test_valid_files_are_accepted(readers: Readers, name: str) -> None:
    assert all(read(readers, name, content) for content in readers.seeds[name])


BYTE_EDITS: dict[str, Any] = {
    "which": st.integers(0, 99),
    "edits": EDITS,
    "end": st.just(1.0) | st.floats(0, 1),
}
VALUE_EDITS: dict[str, Any] = {"path": st.lists(st.integers(0, 99), max_size=4), "new": VALUES}
CONFIG_EDITS: dict[str, Any] = {
    "lines": st.lists(st.tuples(st.text(LETTERS, max_size=6), VALUES), max_size=4),
    "twice": st.booleans(),
}


def check_bytes(readers: Readers, name: str, which: int, edits: Any, end: float) -> None:
    seeds = readers.seeds[name]
    read(readers, name, edited(seeds[which % len(seeds)], edits, end))


def check_json(readers: Readers, name: str, path: list[int], new: Any) -> None:
    seed = readers.seeds[name][0]
    values = json.loads(seed.splitlines()[0] if name == "journal" else seed)
    read(readers, name, json.dumps(replaced(values, path, new)).encode())


def check_header(readers: Readers, name: str, path: list[int], new: Any) -> None:
    """Replace a value in the JSON header of a safetensors file."""
    seed = readers.seeds[name][0]
    length = struct.unpack("<Q", seed[:8])[0]
    text = json.dumps(replaced(json.loads(seed[8 : 8 + length]), path, new)).encode()
    read(readers, name, struct.pack("<Q", len(text)) + text + seed[8 + length :])


def check_config(readers: Readers, lines: list[tuple[str, Any]], twice: bool) -> None:
    seed = readers.seeds["config"][0].decode()
    added = [f"{name or 'x'} = {json.dumps(value)}" for name, value in lines]
    text = "\n".join([*added, seed if twice else seed.partition("[run]")[0]])
    read(readers, "config", text.encode("utf-8", errors="replace"))


@pytest.mark.parametrize("name", BYTES)
@LIGHT
@given(**BYTE_EDITS)
def test_edited_bytes(readers: Readers, name: str, **edit: Any) -> None:
    check_bytes(readers, name, **edit)


@pytest.mark.slow
@pytest.mark.parametrize("name", BYTES)
@DEEP
@given(**BYTE_EDITS)
def test_edited_bytes_in_depth(readers: Readers, name: str, **edit: Any) -> None:
    check_bytes(readers, name, **edit)


@pytest.mark.parametrize("name", JSONS)
@LIGHT
@given(**VALUE_EDITS)
def test_edited_json(readers: Readers, name: str, **edit: Any) -> None:
    check_json(readers, name, **edit)


@pytest.mark.slow
@pytest.mark.parametrize("name", JSONS)
@DEEP
@given(**VALUE_EDITS)
def test_edited_json_in_depth(readers: Readers, name: str, **edit: Any) -> None:
    check_json(readers, name, **edit)


@pytest.mark.parametrize("name", TENSORS)
@LIGHT
@given(**VALUE_EDITS)
def test_edited_headers(readers: Readers, name: str, **edit: Any) -> None:
    check_header(readers, name, **edit)


@pytest.mark.slow
@pytest.mark.parametrize("name", TENSORS)
@DEEP
@given(**VALUE_EDITS)
def test_edited_headers_in_depth(readers: Readers, name: str, **edit: Any) -> None:
    check_header(readers, name, **edit)


@LIGHT
@given(**CONFIG_EDITS)
def test_edited_config(readers: Readers, **edit: Any) -> None:
    check_config(readers, **edit)


@pytest.mark.slow
@DEEP
@given(**CONFIG_EDITS)
def test_edited_config_in_depth(readers: Readers, **edit: Any) -> None:
    check_config(readers, **edit)
