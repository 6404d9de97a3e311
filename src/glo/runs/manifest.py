"""The manifest of a checkpoint: what files belong to it, and their checksums."""

import hashlib
import json
from pathlib import Path
from typing import Any

from glo.utils.files import write_text
from glo.utils.json_toml import read_json

__all__ = ["fault_of", "read_manifest", "write_manifest"]

FORMAT = 1
_MANIFEST = "manifest.json"
_MOST_RANKS = 65536


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    """Write the manifest of a checkpoint, with its format and a checksum of its own.

    Args:
        folder: of the checkpoint, whose files are there.
        values: by name; "files" has "bytes" and "sha256" of each file.

    Raises:
        OSError: it could not be written.
    """
    manifest = {"format": FORMAT, **values}
    sealed = manifest | {"seal": _seal(manifest)}
    write_text(folder / _MANIFEST, json.dumps(sealed, indent=1))


def read_manifest(folder: Path) -> Any:
    """Return what the manifest says, of which nothing was checked.

    Raises:
        OSError: it cannot be read.
        UserError: it is not JSON.
    """
    return read_json(folder / _MANIFEST)


def _seal(manifest: dict[str, Any]) -> str:
    text = json.dumps(manifest, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault_of(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint, its files compared with their checksums, or None."""
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
    if not _is_manifest(manifest):
        return f"{_MANIFEST} was edited (it lacks what belongs there)"
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        # A file of another length need not be read.
        if path.stat().st_size != facts["bytes"] or _digest(path) != facts["sha256"]:
            return f"{name} was cut or edited (it differs from its checksum)"
    return None


def _is_manifest(values: dict[str, Any]) -> bool:
    files, step = values.get("files"), values.get("step")
    return (
        isinstance(files, dict)
        and all(
            isinstance(each, dict) and {"bytes", "sha256"} <= set(each) for each in files.values()
        )
        # A plain name, so that no other file of this machine is read.
        and all(Path(name).name == name for name in files)
        and type(step) is int
        and step >= 0
        and isinstance(values.get("finished"), bool)
        and isinstance(values.get("facts"), dict)
        and all(_is_count(values.get(name, 1)) for name in ("ranks", "shards"))
        and _are_counts(values.get("skipped", [0, 0]))
    )


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and [type(each) for each in values] == [int, int]


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST_RANKS
