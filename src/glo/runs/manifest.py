"""Manifest of a checkpoint: its files and their checksums."""

import hashlib
import json
from pathlib import Path
from typing import Any

from glo.utils.files import write_text
from glo.utils.json_toml import read_json

__all__ = ["read_manifest", "verify", "write_manifest"]

FORMAT = 1
_MANIFEST = "manifest.json"
_FIELDS = {
    "step": int, "finished": bool, "facts": dict, "files": dict, "ranks": int, "shards": int,
    "skipped": list,
}  # fmt: skip
_MAX_SHARDS = 65536


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    """Write the manifest of a complete checkpoint, with its format and its own checksum."""
    manifest = {"format": FORMAT, **values}
    write_text(folder / _MANIFEST, json.dumps(manifest | {"seal": _seal(manifest)}, indent=1))


def read_manifest(folder: Path) -> Any:
    """Return the manifest without any check."""
    return read_json(folder / _MANIFEST)


def verify(folder: Path) -> str | None:
    """Compare the files of a checkpoint with their checksums; return the fault, or None."""
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError):
        return f"{_MANIFEST} is missing or cannot be read"
    if not isinstance(manifest, dict):
        return f"{_MANIFEST} was edited (it is not an object)"
    if manifest.get("format") != FORMAT:
        return f"its format is {manifest.get('format')}, and this version reads {FORMAT}"
    if manifest.pop("seal", None) != _seal(manifest):
        return f"{_MANIFEST} was edited (it differs from its checksum)"
    if not _is_complete(manifest):
        return f"{_MANIFEST} was edited (it lacks a field)"
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        # A file of another length need not be read.
        if path.stat().st_size != expected["bytes"] or _digest(path) != expected["sha256"]:
            return f"{name} was cut or edited (it differs from its checksum)"
    return None


def _is_complete(values: dict[str, Any]) -> bool:
    """Return whether the fields can be used: the seal of a stranger's manifest may be right."""
    if any(type(values.get(name)) is not kind for name, kind in _FIELDS.items()):
        return False
    # Plain names, so that no other file of this machine is read.
    return (
        all(Path(name).name == name for name in values["files"])
        and all(
            isinstance(e, dict) and {"bytes", "sha256"} <= e.keys()
            for e in values["files"].values()
        )
        and values["step"] >= 0
        and values["ranks"] == sum(name.startswith("rows-") for name in values["files"])
        and 1 <= values["shards"] <= _MAX_SHARDS
        and [type(count) for count in values["skipped"]] == [int, int]
    )


def _seal(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
