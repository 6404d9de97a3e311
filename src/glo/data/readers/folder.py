"""Folder of image files: listed in a fixed order, labelled by subfolder."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glo.data.dataset import Dataset
from glo.data.options import SourceOptions
from glo.data.readers.image_files import decode_files
from glo.data.readers.images import image_suffixes
from glo.errors import UserError, printable

__all__ = ["Listing", "list_images", "read_images"]

_IGNORED_NAMES = frozenset({"__MACOSX"})


@dataclass
class Listing:
    """Image files below a folder.

    Attributes:
        root: the folder.
        names: paths of the files, relative to `root`.
        decoded: names of the files that were decoded, one for each row.
        skipped: one sentence for each file that was left out.
        others: names of files that are no images.
    """

    root: Path
    names: list[str] = field(default_factory=list)
    decoded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        return [self.root / name for name in self.names]

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append(printable(f"{name}: {reason}"))


def list_images(root: Path) -> Listing:
    """List the image files below a folder in natural order (2 before 10).

    Links to folders are not followed, and links to files outside `root` are skipped.
    """
    listing, real_root = Listing(root), os.path.realpath(root)
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(root / folder) as entries:
                found = list(entries)
        except OSError as error:
            listing.skip(folder, error.strerror or "cannot be read")
            continue
        for entry in found:
            try:
                if _add_entry(listing, entry, folder + entry.name, real_root):
                    pending.append(folder + entry.name + os.sep)
            except OSError as error:  # a link to itself
                listing.skip(folder + entry.name, error.strerror or "cannot be read")
    listing.names.sort(key=lambda name: (_natural_key(name), name))
    listing.skipped.sort(key=_natural_key)
    return listing


def read_images(listing: Listing, options: SourceOptions, folder: Path | None) -> Dataset:
    """Decode the listed files into one dataset; extend `decoded` and `skipped` of the listing."""
    rows, numbers = decode_files(
        lambda: listing.paths,
        len(listing.names),
        options,
        folder,
        lambda number, reason: listing.skip(listing.names[number], reason),
    )
    if rows is None:
        reasons = "; ".join(listing.skipped[:3])
        raise UserError(
            f"{listing.root} has no image that can be read ({reasons}); check the files."
        )
    listing.decoded += [listing.names[number] for number in numbers]
    labels, label_names = _folder_labels(listing.decoded)
    return Dataset(
        rows=rows,
        labels=labels,
        label_names=label_names,
        name=printable(listing.root.resolve().name or "images"),
        skipped=tuple(listing.skipped),
    )


def _add_entry(listing: Listing, entry: "os.DirEntry[str]", name: str, real_root: str) -> bool:
    """Add a file to the listing; return whether the entry is a folder to be listed."""
    if entry.name.startswith(".") or entry.name in _IGNORED_NAMES:
        return False
    if entry.is_dir(follow_symlinks=False):
        return True
    if entry.is_dir():
        listing.skip(name, "a link to a folder, not followed")
    elif os.path.splitext(entry.name)[1].lower() not in image_suffixes():
        listing.others.append(name)
    elif entry.is_symlink() and not os.path.realpath(entry.path).startswith(real_root + os.sep):
        listing.skip(name, "a link out of the folder")
    else:
        listing.names.append(name)
    return False


def _natural_key(name: str) -> list[list[tuple[str, int]]]:
    parts = [re.findall(r"([^0-9]*)([0-9]*)", part) for part in name.split(os.sep)]
    return [[(word, int(digits or -1)) for word, digits in part] for part in parts]


def _folder_labels(names: list[str]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    folders = [name.split(os.sep)[0] for name in names if os.sep in name]
    if len(folders) < len(names):
        return None, ()
    classes = sorted(set(folders), key=lambda name: (_natural_key(name), name))
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[name] for name in folders], np.int64), tuple(map(printable, classes))
