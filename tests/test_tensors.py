"""Safetensors files: what the system said is kept."""

import errno
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from glo import tensors
from glo.tensors import write_tensors


def test_any_layout_comes_back(tmp_path: Path) -> None:
    value = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    write_tensors(tmp_path / "x", {"x": value}, {})
    assert torch.equal(load_file(tmp_path / "x")["x"], value)


@pytest.mark.parametrize(
    "text",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        'Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space" })',
    ],
)
def test_the_number_of_a_failure_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError(text)

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_tensors(tmp_path / "x", {}, {})
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "x")


def test_other_failures_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise SafetensorError("something else")

    monkeypatch.setattr(tensors, "save_file", broken)
    with pytest.raises(SafetensorError, match="something else"):
        write_tensors(tmp_path / "x", {}, {})
