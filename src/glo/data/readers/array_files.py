"""Files that hold whole arrays: .npy, .npz and folders of IDX files."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from glo.data.cache import fetch, key_of
from glo.data.dataset import Dataset
from glo.data.labels import as_labels
from glo.data.limits import check_memory
from glo.data.options import SourceOptions
from glo.data.readers.arrays import Layout, convert, first, lay_out
from glo.data.readers.idx import read_idx
from glo.data.readers.images import shown
from glo.data.readers.mnist import with_idx_size
from glo.data.readers.npy import open_npy
from glo.data.readers.npz import npz_names, read_npz
from glo.errors import UserError

__all__ = [
    "check_no_split",
    "is_idx_name",
    "open_idx_folder",
    "open_npy_file",
    "open_npz_file",
    "read_npz_file",
]

_IDX_IMAGES = re.compile(r"(.*?)images([-.])idx\d-ubyte(\.gz|\.xz)?", re.IGNORECASE)
_PACKINGS = ("", ".gz", ".xz")  # the readiest first
_TEST = re.compile(r"t10k|test", re.IGNORECASE)

Content = tuple[NDArray[Any], NDArray[Any] | None]


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """Examples in files: how they are read, and whether reading only maps them."""

    kind: str
    root: Path
    files: list[Path]
    read: Callable[[], Content]
    is_mapped: bool


def open_npy_file(path: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    """Open a .npy file: used where it lies if it is uint8 images or float32 vectors of the right
    shape, else converted into the cache.
    """
    check_no_split(str(path), options)

    def read() -> Content:
        return open_npy(path), None

    stored = _Stored(kind="npy", root=path, files=[path], read=read, is_mapped=True)
    return _open(stored, options, cache)


def open_npz_file(path: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    """Open a .npz file with an array x, images, data or arr_0 (or just one array), and perhaps
    labels or y; or with x_train, y_train, x_test, y_test or train_images and so on.
    """
    stored = _Stored(
        kind="npz",
        root=path,
        files=[path],
        read=lambda: read_npz_file(path, options),
        is_mapped=False,
    )
    return _open(stored, options, cache)


def open_idx_folder(folder: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    """Open a folder of IDX files such as train-images-idx3-ubyte, plain, .gz or .xz.

    Raises:
        UserError: if it has no such split, or several sets of it.
    """
    images, labels = _find_idx(folder, options)

    def read() -> Content:
        return read_idx(images), None if labels is None else read_idx(labels)

    stored = _Stored(
        kind="idx",
        root=folder,
        files=[images] if labels is None else [images, labels],
        read=read,
        is_mapped=images.suffix.lower() not in _PACKINGS[1:],
    )
    return _open(stored, options, cache)


def is_idx_name(name: str) -> bool:
    """Say whether a file name is that of IDX images.

    Example:
        >>> is_idx_name("emnist-letters-test-images-idx3-ubyte.gz"), is_idx_name("a.png")
        (True, False)
    """
    return _IDX_IMAGES.fullmatch(name) is not None


def check_no_split(what: str, options: SourceOptions) -> None:
    """Refuse to give the training set out as a test set."""
    if options.split != "train":
        raise UserError(
            f"{what} has no {options.split!r} split; leave split at 'train', or give the"
            f" {options.split} examples as a source of their own."
        )


def _open(stored: _Stored, options: SourceOptions, cache: Path | None) -> Dataset:
    if stored.is_mapped:
        layout, labels = _load(stored, options)
        if layout.is_ready:
            return _samples(stored, convert(layout, None), labels)

    def build(room: Path | None) -> Dataset:
        layout, labels = _load(stored, options)
        if room is None and not layout.is_ready:
            check_memory(layout.nbytes)
        return _samples(stored, convert(layout, room), labels)

    return fetch(key_of(stored.kind, stored.root, stored.files, options), build, cache)


def _load(stored: _Stored, options: SourceOptions) -> tuple[Layout, NDArray[Any] | None]:
    values, labels = stored.read()
    if labels is not None and labels.shape[:1] != values.shape[:1]:
        raise UserError(
            f"{stored.root} holds examples of shape {values.shape} but labels of shape"
            f" {labels.shape}; give one label for each example."
        )
    if stored.kind == "idx":
        options = with_idx_size(values, options)
    layout = lay_out(first(values, options.limit), options, str(stored.root))
    return layout, None if labels is None else first(labels, options.limit)


def _samples(stored: _Stored, rows: NDArray[Any], labels: NDArray[Any] | None) -> Dataset:
    root = stored.root.resolve()
    name = shown((root.name if root.is_dir() else root.stem) or "data")
    if labels is None:
        return Dataset(rows=rows, name=name)
    numbers, names = as_labels(labels, f"The labels of {stored.root}")
    return Dataset(rows=rows, labels=numbers, label_names=names, name=name)


def read_npz_file(path: Path, options: SourceOptions) -> Content:
    """Read the examples and the labels, if any, of a .npz file as they are stored there.

    Raises:
        UserError: it cannot be read, or has no such arrays.
    """
    split = options.split
    found = read_npz(path, (f"x_{split}", f"{split}_images"))
    if found is not None:
        labels = read_npz(path, (f"y_{split}", f"{split}_labels"))
    else:
        check_no_split(str(path), options)
        found = read_npz(path, ("x", "images", "data", "arr_0"), or_only=True)
        labels = read_npz(path, ("labels", "y"))
    if found is None:
        names = ", ".join(shown(name) for name in npz_names(path)[:8]) or "nothing"
        raise UserError(f"{path} holds {names}; name the examples x, and their labels y.")
    return found[1], None if labels is None or labels[0] == found[0] else labels[1]


def _find_idx(folder: Path, options: SourceOptions) -> tuple[Path, Path | None]:
    names = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_file()}
    wanted = options.split == "test"
    matches = [found for name in sorted(names) if (found := _IDX_IMAGES.fullmatch(name))]
    matches = [found for found in matches if bool(_TEST.search(found[1])) == wanted]
    stems = sorted({found[1] for found in matches})
    if len(stems) != 1:
        have = f"more than one {options.split} set" if stems else f"no {options.split} set"
        raise UserError(
            f"The IDX folder {folder} holds {have}; keep one file of images named like"
            f" {'t10k' if wanted else 'train'}-images-idx3-ubyte in it."
        )
    best = min(matches, key=lambda found: _PACKINGS.index(found[3] or ""))
    labels = [f"{best[1]}labels{best[2]}idx1-ubyte{packing}" for packing in _PACKINGS]
    return names[best[0]], next((names[name] for name in labels if name in names), None)
