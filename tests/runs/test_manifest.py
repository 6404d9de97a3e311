"""The manifest of a checkpoint: a sealed one may still hold what is none."""

from pathlib import Path
from typing import Any

import pytest

from glo.runs.manifest import fault_of, write_manifest

WHOLE: dict[str, Any] = {"step": 3, "finished": False, "facts": {}, "files": {}}


@pytest.mark.parametrize("more", [{}, {"skipped": [4, 0]}, {"ranks": 2, "shards": 2}])
def test_a_whole_one_has_no_fault(tmp_path: Path, more: dict[str, Any]) -> None:
    write_manifest(tmp_path, WHOLE | more)
    assert fault_of(tmp_path) is None


@pytest.mark.parametrize(
    "edit",
    [
        *({"skipped": value} for value in (3, None, True, [1], [1, 2.0], "12", {"1": 2})),
        *({"step": value} for value in (-1, 1.0, True, None)),
        *({"files": value} for value in ([], {"../x": {"bytes": 1, "sha256": ""}}, {"x": {}})),
        *({name: value} for name in ("ranks", "shards") for value in (0, "1", 2**20)),
        {"finished": 1},
        {"facts": []},
    ],
    ids=str,
)
def test_what_does_not_belong_there_is_said(tmp_path: Path, edit: dict[str, Any]) -> None:
    # Whoever writes one can seal it, too.
    write_manifest(tmp_path, WHOLE | edit)
    assert fault_of(tmp_path) == "manifest.json was edited (it lacks what belongs there)"
