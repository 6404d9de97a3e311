"""Decoded sets kept on disk, so that the second opening is a memory map."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from glo.data.dataset import Dataset
from glo.data.options import SourceOptions
from glo.data.storage import new_folder
from glo.errors import UserError

__all__ = ["cache_folder", "fetch", "key_of"]

# Raised when what is decoded changes for the same source and options.
_VERSION = 1


def cache_folder() -> Path:
    """Return $GLO_CACHE, or $XDG_CACHE_HOME/glo, or ~/.cache/glo.

    Raises:
        OSError: if there is no home to put it in.
    """
    if own := os.environ.get("GLO_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "glo"
    try:
        return Path.home() / ".cache" / "glo"
    except RuntimeError as error:
        raise OSError(str(error)) from error


def key_of(kind: str, root: Path | str, files: list[Path], options: SourceOptions) -> str:
    """Name a decoded set by all that decides it: where, which files, when changed, options.

    Args:
        kind: what reads it, since two readers may make two things of one file.
        root: the source, or the words that stand for it.
        files: every file that is read.
        options: as given.

    Returns:
        32 hex characters.
    """
    digest = hashlib.blake2b(digest_size=16)
    where = root if isinstance(root, str) else os.fspath(root.resolve())
    digest.update(json.dumps([_VERSION, kind, where, asdict(options)], sort_keys=True).encode())
    for file in files:
        digest.update(os.fsencode(file) + _stamp(file))
    return digest.hexdigest()


def _stamp(file: Path) -> bytes:
    try:
        about = file.stat()
    except OSError:  # gone since it was listed; reading it will say so
        return b"\0gone\0"
    return f"\0{about.st_size}\0{about.st_mtime_ns}\0".encode()


def fetch(key: str, build: Callable[[Path | None], Dataset], cache: Path | None) -> Dataset:
    """Open a kept set, or build it and keep it.

    An entry appears whole or not at all; a damaged one is built again. Without a writable cache
    the set is built in memory.

    Args:
        key: name of the entry.
        build: makes the set; it may write rows.npy into the folder it is given.
        cache: the cache folder; None is `cache_folder()`.

    Returns:
        the set, memory-mapped when it is kept.
    """
    try:
        entry = (cache if cache is not None else cache_folder()) / "samples" / key
        kept = _kept(entry)
        return _build_kept(entry, build) if kept is None else kept
    except OSError:
        return build(None)


def _kept(entry: Path) -> Dataset | None:
    if not entry.exists():
        return None
    try:
        return Dataset.open(entry)
    except UserError:
        shutil.rmtree(entry)
        return None


def _build_kept(entry: Path, build: Callable[[Path | None], Dataset]) -> Dataset:
    with new_folder(entry, replace=False) as room:
        build(room).write(room)
    return Dataset.open(entry)
