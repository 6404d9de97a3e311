"""No bytes make a reader fail with anything but one sentence."""

import json
import struct
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.targets import Readers

# The same examples on every machine; `benchmarks/fuzz_atheris.py` looks further.
FEW = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=20,
    suppress_health_check=list(HealthCheck),
)

BYTES = (
    "image", "mask", "npy", "npz", "idx", "tensors", "digit network", "row numbers", "request",
    "decoder", "averaged", "optimizer", "tally", "codes", "manifest", "errors", "labels",
    "gaussian prior", "mixture prior", "imle prior", "flow-matching prior", "config", "summary",
    "journal", "estimator", "facts of a set", "rows of a set",
)  # fmt: skip
JSONS = ("manifest", "summary", "estimator", "facts of a set", "journal", "request")
TENSORS = (
    "tensors", "decoder", "averaged", "optimizer", "tally", "codes", "errors", "labels",
    "gaussian prior", "mixture prior", "imle prior", "flow-matching prior",
)  # fmt: skip

# Of all kinds that matter: a table of all of Unicode takes seconds to make.
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
# Where in a file, as a share of it or near its beginning, and what is written there.
EDITS = st.lists(
    st.tuples(st.floats(0, 0.999) | st.integers(0, 64), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=5,
)


def edited(whole: bytes, edits: list[tuple[float, bytes]], end: float) -> bytes:
    content = bytearray(whole)
    for place, piece in edits:
        first = int(place * len(content)) if isinstance(place, float) else place
        content[first : first + len(piece)] = piece
    return bytes(content[: int(end * len(content))])


def replaced(values: Any, way: list[int], new: Any) -> Any:
    """Return a JSON value in which what a way leads to is another."""
    if not way or not isinstance(values, dict | list) or not values:
        return new
    copy: Any = values.copy()
    key = (list(copy) if isinstance(copy, dict) else range(len(copy)))[way[0] % len(copy)]
    copy[key] = replaced(copy[key], way[1:], new)
    return copy


def read(readers: Readers, name: str, content: bytes) -> bool:
    with warnings.catch_warnings():
        # Pillow warns of what is odd in an image.
        warnings.simplefilter("ignore")
        return readers.read(name, content)


def test_every_reader_has_a_target(readers: Readers) -> None:
    assert set(BYTES) == set(readers.targets) == set(readers.seeds)


@pytest.mark.parametrize("name", BYTES)
def test_whole_files_are_taken(readers: Readers, name: str) -> None:
    assert all(read(readers, name, content) for content in readers.seeds[name])


@pytest.mark.parametrize("name", BYTES)
@FEW
@given(which=st.integers(0, 99), edits=EDITS, end=st.just(1.0) | st.floats(0, 1))
def test_edited_bytes(
    readers: Readers, name: str, which: int, edits: list[tuple[float, bytes]], end: float
) -> None:
    seeds = readers.seeds[name]
    read(readers, name, edited(seeds[which % len(seeds)], edits, end))


@pytest.mark.parametrize("name", JSONS)
@FEW
@given(way=st.lists(st.integers(0, 99), max_size=4), new=VALUES)
def test_edited_values(readers: Readers, name: str, way: list[int], new: Any) -> None:
    whole = readers.seeds[name][0]
    values = json.loads(whole.splitlines()[0] if name == "journal" else whole)
    read(readers, name, json.dumps(replaced(values, way, new)).encode())


@pytest.mark.parametrize("name", TENSORS)
@FEW
@given(way=st.lists(st.integers(0, 99), max_size=4), new=VALUES)
def test_edited_headers(readers: Readers, name: str, way: list[int], new: Any) -> None:
    whole = readers.seeds[name][0]
    length = struct.unpack("<Q", whole[:8])[0]
    text = json.dumps(replaced(json.loads(whole[8 : 8 + length]), way, new)).encode()
    read(readers, name, struct.pack("<Q", len(text)) + text + whole[8 + length :])


@FEW
@given(
    lines=st.lists(st.tuples(st.text(LETTERS, max_size=6), VALUES), max_size=4), twice=st.booleans()
)
def test_config_of_any_names_and_values(
    readers: Readers, lines: list[tuple[str, Any]], twice: bool
) -> None:
    whole = readers.seeds["config"][0].decode()
    added = [f"{name or 'x'} = {json.dumps(value)}" for name, value in lines]
    text = "\n".join([*added, whole if twice else whole.partition("[run]")[0]])
    read(readers, "config", text.encode("utf-8", errors="replace"))
