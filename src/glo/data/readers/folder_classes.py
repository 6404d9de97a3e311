"""Classes of files by the names of their folders."""

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glo.errors import listed, printable

__all__ = ["classify_by_folder", "natural_key"]

_SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
_MAX_COUNTS = 10

Classes = tuple[NDArray[np.int64] | None, tuple[str, ...], list[str]]


def natural_key(name: str) -> list[list[tuple[str, int]]]:
    """Return the key of a path in natural order, 2 before 10."""
    parts = [re.findall(r"([^0-9]*)([0-9]*)", part) for part in name.split(os.sep)]
    return [[(word, int(digits or -1)) for word, digits in part] for part in parts]


def classify_by_folder(
    names: Sequence[str],
    all_names: Sequence[str],
    expected: Sequence[str],
    folders: Collection[str],
) -> Classes:
    """Classify files by their top folder, or by their own folder below train and test folders.

    The top folders are the first of which there is more than one.

    Args:
        names: paths of the files, relative to their common folder.
        all_names: paths of all files there, also of those that were left out.
        expected: paths of files whose folders are not reported as empty.
        folders: paths of all folders.

    Returns:
        int64 (n,), the numbers of the classes, or None without classes; the names of the classes;
        one sentence for each decision.
    """
    outer = _outer_folder(all_names)
    if outer:
        lists = (names, all_names, expected, folders)
        inner = [[x[len(outer) :] for x in paths if x.startswith(outer)] for paths in lists]
        labels, label_names, notes = classify_by_folder(*inner)
        note = f"All images are below the folder {printable(outer[:-1])}, which is no class."
        return labels, label_names, [note, *notes]
    n_loose = sum(os.sep not in name for name in names)
    if n_loose:
        note = f"No classes: {n_loose:,} of {len(names):,} images are in no sub-folder."
        return None, (), [note] if n_loose < len(names) else []
    part, notes = _class_part(all_names)
    if part is None:
        return None, (), notes
    chosen = [name.split(os.sep)[part] for name in names]
    counts = Counter(chosen)
    classes = sorted(counts, key=lambda name: (natural_key(name), name))
    numbers = {name: number for number, name in enumerate(classes)}
    notes += _describe_classes(classes, counts)
    depth = 0 if part == 0 else 1
    possible = {name.split(os.sep)[-1] for name in folders if name.count(os.sep) == depth}
    used = {name.split(os.sep)[part] for name in expected if os.sep in name}
    empty = sorted(map(printable, possible - used), key=natural_key)
    if empty:
        notes.append(f"Folders without an image, which are no classes: {listed(empty)}.")
    return (
        np.array([numbers[name] for name in chosen], np.int64),
        (*map(printable, classes),),
        notes,
    )


def _outer_folder(names: Sequence[str]) -> str:
    """Return the folder of all files, with a slash, if it has more than one folder with files."""
    outer = os.path.commonpath([os.path.dirname(name) for name in names]) + os.sep
    inner = {name[len(outer) :].split(os.sep)[0] for name in names if os.sep in name[len(outer) :]}
    return outer if len(outer) > 1 and len(inner) > 1 else ""


def _class_part(names: Sequence[str]) -> tuple[int | None, list[str]]:
    """Return the place of the class among the parts of a path, None without classes; notes."""
    inner: dict[str, set[str]] = {}
    for name in names:
        parts = name.split(os.sep)
        inner.setdefault(parts[0], set()).add(parts[-2] if len(parts) > 2 else "")
    if not {name.lower() for name in inner} <= _SPLITS:
        return 0, []
    tops, sets = listed(sorted(inner)), list(inner.values())
    if all(names == {""} for names in sets):
        return None, [f"The folders {tops} are read as parts of one set; they are no classes."]
    if all(names == sets[0] and "" not in names for names in sets):
        return -2, [
            f"The folders {tops} are read as parts of one set; the folders in them are the classes."
        ]
    return 0, [
        f"The folders {tops} are taken as classes, since the folders in them are not the same."
    ]


def _describe_classes(names: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    texts = [f"{printable(name)} {counts[name]:,}" for name in names[:_MAX_COUNTS]]
    start, more = "Classes", ""
    if len(names) > _MAX_COUNTS:
        start, more = f"{len(names):,} classes", ", ..."
    variants: dict[str, list[str]] = {}
    for name in names:
        variants.setdefault(name.casefold(), []).append(printable(name))
    return [f"{start} from folders: {', '.join(texts)}{more}."] + [
        f"The classes {listed(same)} differ in case only; rename their folders if they are one."
        for same in variants.values()
        if len(same) > 1
    ]
