"""Manifests with a right seal and wrong fields, as a stranger can write them."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from glo.runs.manifest import verify, write_manifest

ROWS = {"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
WHOLE: dict[str, Any] = {
    "step": 3, "finished": False, "facts": {}, "files": {"rows-0-of-1.safetensors": ROWS},
    "ranks": 1, "shards": 2, "skipped": [4, 0],
}  # fmt: skip


@pytest.fixture(autouse=True)
def rows(tmp_path: Path) -> None:
    (tmp_path / "rows-0-of-1.safetensors").write_bytes(b"abc")


def test_a_whole_checkpoint_has_no_fault(tmp_path: Path) -> None:
    write_manifest(tmp_path, WHOLE)
    assert verify(tmp_path) is None


@pytest.mark.parametrize(
    "edit",
    [
        *({"skipped": value} for value in (None, [1], [1, 2.0], {"1": 2})),
        *({"step": value} for value in (-1, 1.0, True)),
        *({"files": value} for value in ([], {"../x": ROWS}, {"rows-0-of-1.safetensors": {}})),
        *({name: value} for name in ("ranks", "shards") for value in (0, "1", 2**20)),
        {"finished": 1},
        {"facts": []},
    ],
    ids=str,
)
def test_a_wrong_field_is_a_fault(tmp_path: Path, edit: dict[str, Any]) -> None:
    write_manifest(tmp_path, WHOLE | edit)
    assert "manifest.json" in str(verify(tmp_path))
