"""NumPy's .npy and .npz files, read without unpickling anything."""

import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.compressed import check_expansion
from glo.errors import MAX_LISTED, UserError, listed
from glo.utils.files import open_plain

__all__ = ["StoredArrays", "npz_names", "open_npy", "read_npz", "read_npz_examples"]

# Bytes of the member list of a .npz file: thousands of arrays.
_MAX_LIST_BYTES = 2**20
_EXAMPLES = ("x", "images", "data", "features", "inputs", "samples", "arr_0")
_LABELS = ("y", "label", "labels", "target", "targets", "classes")
_SPLIT_EXAMPLES = ("x_{}", "{}_x", "{}_images", "{}_data", "images_{}")
_SPLIT_LABELS = ("y_{}", "{}_y", "{}_labels", "{}_targets", "labels_{}")


def open_npy(path: Path) -> NDArray[Any]:
    """Map a .npy file of any shape, and of any dtype without Python objects, read-only."""
    try:
        open_plain(path).close()  # a pipe would block the next line
        with np.errstate(over="raise"):
            # This is numpy.load(mmap_mode="r") for .npy files alone, not for pickles and archives.
            array = npy_format.open_memmap(path, mode="r")
    except UserError:
        raise
    except Exception as error:  # NumPy raises nearly anything for a damaged header
        raise UserError(
            f"{path} cannot be read as a .npy file ({_reason(error)}); save one plain array of "
            f"numbers with numpy.save."
        ) from error
    size, expected = path.stat().st_size, array.offset + array.nbytes
    if size != expected:
        raise UserError(
            f"{path} has {size} bytes, but its header claims shape {array.shape}, {expected} "
            f"bytes; save it again."
        )
    if array.size == 0:
        shape = array.shape
        raise UserError(f"{path} is empty, an array of shape {shape}; save at least one example.")
    return np.asarray(array)


@final
@dataclass(frozen=True)
class StoredArrays:
    """Arrays of a file: examples, their labels or None, and one sentence for each decision."""

    examples: NDArray[Any]
    labels: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()


def npz_names(path: Path) -> list[str]:
    """Return the names of the arrays in a .npz file."""
    with _archive(path) as archive:
        return _members(archive)


def read_npz(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Read the named arrays of a .npz file as they are stored."""
    with _archive(path) as archive:
        return [_read_member(archive, name) for name in names]


def read_npz_examples(path: Path, options: SourceOptions, label: str = "") -> StoredArrays:
    """Read the examples and the labels, if any, of a .npz file as they are stored.

    Args:
        path: path of the file.
        options: options of the source.
        label: name of the array of labels; empty: found by name; "none": no labels.
    """
    members = npz_names(path)
    chosen = _choose(path, members, options, label)
    examples, *labels = read_npz(path, [name for name in chosen if name])
    return StoredArrays(
        examples=examples,
        labels=labels[0] if labels else None,
        notes=_note_on_names(path, members, *chosen),
    )


def _members(archive: zipfile.ZipFile) -> list[str]:
    return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def _choose(path: Path, members: list[str], options: SourceOptions, label: str) -> tuple[str, str]:
    """Return the names of the arrays of examples and of labels ("" for none)."""
    split = options.split
    names = tuple(pattern.format(split) for pattern in _SPLIT_EXAMPLES)
    label_names = tuple(pattern.format(split) for pattern in _SPLIT_LABELS)
    if not _matches(members, names):
        check_train_split(str(path), options)
        names, label_names = _EXAMPLES, _LABELS
    matches = _matches(members, names) or (members if len(members) == 1 else [])
    labels = {"": _matches(members, label_names), "none": []}.get(label, [label])
    listing = ", ".join(members[:MAX_LISTED]) or "nothing"
    if len(matches) != 1 or len(labels) > 1:
        which = "the labels" if len(matches) == 1 else "the examples"
        raise UserError(
            f"{path} contains {listing}, and it is not clear which are {which}; name the examples"
            " x, and their labels y."
        )
    if label not in ("", "none", *members):
        raise UserError(f"{path} has no array '{label}'; it contains {listing}.")
    return matches[0], next((name for name in labels if name != matches[0]), "")


def _matches(members: list[str], names: tuple[str, ...]) -> list[str]:
    return [name for name in members if name.lower() in names]


def _note_on_names(path: Path, members: list[str], examples: str, labels: str) -> tuple[str, ...]:
    others = [name for name in members if name not in (examples, labels)]
    if not others:
        return ()
    text = f"{path}: the examples are '{examples}', the labels "
    text += f"'{labels}'" if labels else "none"
    return (f"{text}; {listed(others)} {'are' if len(others) > 1 else 'is'} not used.",)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with _open_zip(path) as archive:
            yield archive
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # zipfile and NumPy raise nearly anything for a damaged file
        raise UserError(
            f"{path} cannot be read as a .npz file ({_reason(error)}); save plain arrays of "
            f"numbers with numpy.savez."
        ) from error


@final
class _LimitedReader(io.BufferedReader):
    """Reader with a limit on the bytes of one read.

    `zipfile` reads the member list of an archive at once, whatever length it claims, and makes an
    object of a kilobyte for each entry of 46 bytes.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        limit = _MAX_LIST_BYTES + 1
        content = super().read(limit if size is None or size < 0 else min(size, limit))
        if len(content) == limit:
            raise UserError("it lists more than a file of arrays does; save it with numpy.savez.")
        return content


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    raw = open_plain(path).detach()
    with _LimitedReader(raw) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(f"{name}.npy")
    assert archive.fp is not None, "the archive is open"
    packed = min(info.compress_size, os.fstat(archive.fp.fileno()).st_size)
    advice = "save it with numpy.save, a .npy file is used without loading it"
    try:
        check_expansion(packed, info.file_size, advice)
    except UserError as error:
        raise UserError(f"array {name!r} is refused: {error}") from None
    with archive.open(info) as file:
        array: NDArray[Any] = npy_format.read_array(file, allow_pickle=False)
    return array


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().rstrip(".").splitlines()[0][:200] if str(error) else "damaged"
