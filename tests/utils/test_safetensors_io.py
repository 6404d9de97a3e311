"""Safetensors files: round trips, damage and system errors."""

import errno
import hashlib
import json
import os
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from glo.errors import UserError
from glo.utils import safetensors_io as module
from glo.utils.safetensors_io import read_header, read_tensors, write_tensors

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


def test_write_tensors_with_channels_last_layout(tmp_path: Path) -> None:
    value = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    write_tensors(tmp_path / "x", {"x": value}, {})
    assert torch.equal(load_file(tmp_path / "x")["x"], value)


@given(
    parts=st.lists(
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)), max_size=5
    )
)
def test_safetensors_reads_written_tensors(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[torch.dtype, list[int]]]
) -> None:
    path = tmp_path_factory.mktemp("tensors") / "x"
    tensors = {
        f"t{i}": torch.randint(0, 2, tuple(shape)).to(dtype)
        for i, (dtype, shape) in enumerate(parts)
    }
    digest = write_tensors(path, tensors, {"about": "ä"})
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    found = load_file(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(found[name], tensor)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"about": "ä"}


def test_write_tensors_with_one_number_of_a_column(tmp_path: Path) -> None:
    value = torch.arange(6.0).reshape(1, 6)[:, 3]
    assert value.is_contiguous()
    write_tensors(tmp_path / "x", {"x": value.as_strided((1,), (6,), 3)}, {})
    assert load_file(tmp_path / "x")["x"].tolist() == [3.0]


def test_write_tensors_in_several_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", 64)
    value = torch.randn(1000)
    write_tensors(tmp_path / "x", {"x": value}, {})
    assert torch.equal(load_file(tmp_path / "x")["x"], value)


def test_write_tensors_raises_the_system_error() -> None:
    with pytest.raises(OSError, match="No space") as caught:
        write_tensors(Path("/dev/full"), {"x": torch.zeros(3)}, {})
    assert caught.value.errno == errno.ENOSPC


def _file(path: Path, data: bytes, **changes: object) -> Path:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}
    header = json.dumps({"x": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"data": bytes(7)},
        {"data": bytes(9)},
        {"shape": [-2]},
        {"shape": [3]},
        {"shape": [2**60, 2**60]},
        {"shape": [1] * 100 + [2]},
        {"data_offsets": [8, 16]},
        {"dtype": "F99"},
        {"dtype": "U64", "shape": [1]},
    ],
)
def test_damaged_files_raise(tmp_path: Path, changes: dict[str, object]) -> None:
    path = _file(tmp_path / "x", **{"data": bytes(8), **changes})
    for read in (read_header, read_tensors):
        with pytest.raises(UserError, match=f"{path} "):
            read(path)


def test_read_header_raises_for_large_headers_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", 2**23))
    os.truncate(tmp_path / "x", 2**24)
    os.mkfifo(tmp_path / "pipe")
    for name in ("x", "pipe"):
        with pytest.raises(UserError, match=name):
            read_header(tmp_path / name)
