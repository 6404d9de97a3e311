"""Disk cache of decoded datasets, memory-mapped when they are opened again."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from glo.data.dataset import Dataset
from glo.data.options import SourceOptions
from glo.errors import UserError
from glo.utils.files import atomic_folder

__all__ = ["cache_folder", "cache_key", "open_cached"]

# Raised when the decoded content changes for the same source and options.
_VERSION = 2


def cache_folder() -> Path:
    """Return $GLO_CACHE, or $XDG_CACHE_HOME/glo, or ~/.cache/glo; OSError without a home."""
    if folder := os.environ.get("GLO_CACHE"):
        return Path(folder).expanduser()
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "glo"
    try:
        return Path.home() / ".cache" / "glo"
    except RuntimeError as error:
        raise OSError(str(error)) from error


def cache_key(kind: str, root: Path | str, files: list[Path], options: SourceOptions) -> str:
    """Hash everything that determines a decoded dataset into 32 hex characters.

    Args:
        kind: name of the reader, since two readers may decode one file differently.
        root: path of the source, or a description of it.
        files: all files that are read; their sizes and modification times are hashed.
    """
    digest = hashlib.blake2b(digest_size=16)
    where = root if isinstance(root, str) else os.fspath(root.resolve())
    digest.update(json.dumps([_VERSION, kind, where, asdict(options)], sort_keys=True).encode())
    for file in files:
        digest.update(os.fsencode(file))
        try:
            stat = file.stat()
            digest.update(f"\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        except OSError:  # deleted since it was listed; its reader raises the error
            digest.update(b"\0gone\0")
    return digest.hexdigest()


def open_cached(key: str, build: Callable[[Path | None], Dataset], cache: Path | None) -> Dataset:
    """Open a cached dataset, or build and cache it; damaged entries are built again.

    Without a writable cache `build` receives None instead of a folder for its rows.npy, and the
    dataset stays in memory.
    """
    try:
        entry = (cache if cache is not None else cache_folder()) / "samples" / key
        if entry.exists():
            try:
                return Dataset.open(entry)
            except UserError:
                shutil.rmtree(entry)
        with atomic_folder(entry, replace=False) as temporary:
            build(temporary).write(temporary)
        return Dataset.open(entry)
    except OSError:
        return build(None)
