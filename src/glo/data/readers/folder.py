"""A folder of image files: found in a fixed order, labelled by sub-folder, decoded in parallel."""

import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from glo.data.dataset import Dataset
from glo.data.limits import check_memory, check_room
from glo.data.options import SourceOptions
from glo.data.pixels import fit, recolour
from glo.data.readers.images import Probe, decoded, image_suffixes, probe, shown
from glo.data.row_writer import RowWriter
from glo.data.storage import ROWS
from glo.errors import UserError

__all__ = ["Listing", "attempt", "common_size", "in_order", "list_images", "read_images"]

_COLOUR_PROBES = 64
_SMALLEST, _LARGEST = 8, 128
_LEFT_ALONE = frozenset({"__MACOSX"})

S = TypeVar("S")
T = TypeVar("T")


@dataclass
class Listing:
    """Image files below a root, by their names relative to it, and what was left out and why.

    `kept` are the names of the files that were decoded, one for each row.
    """

    root: Path
    names: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        return [self.root / name for name in self.names]

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append(f"{shown(name)}: {reason}")


def list_images(root: Path) -> Listing:
    """Find the files below a folder that have an image's ending, in natural order (2 before 10).

    Hidden files are left alone. Links to folders are not followed, and links to files outside
    `root` are skipped with a reason.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("10.png", "9.png", "notes.txt"):
        ...     (root / name).touch()
        >>> list_images(root).names
        ['9.png', '10.png']
    """
    listing, suffixes, real = Listing(root), image_suffixes(), os.path.realpath(root)
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            with os.scandir(root / below) as entries:
                found = list(entries)
        except OSError as error:
            listing.skip(below, error.strerror or "cannot be read")
            continue
        for entry in found:
            try:
                _sort_in(entry, below + entry.name, listing, pending, suffixes, real)
            except OSError as error:  # a link to itself
                listing.skip(below + entry.name, error.strerror or "cannot be read")
    listing.names.sort(key=lambda name: (_natural(name), name))
    listing.skipped.sort(key=_natural)
    return listing


def read_images(listing: Listing, options: SourceOptions, room: Path | None) -> Dataset:
    """Decode the listed files into one set.

    Args:
        listing: the files; those that can be decoded are added to its `kept`, others to `skipped`.
        options: as given; `split` has no meaning here.
        room: folder that the rows are streamed to, or None for memory.

    Raises:
        UserError: if no file can be decoded, naming up to three reasons.
    """
    image_suffixes()  # loads pillow's plugins, which threads must not do at once
    with warnings.catch_warnings(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        # Pillow warns of odd metadata; what matters is said in `skipped`.
        warnings.simplefilter("ignore")
        target, channels = _target(listing, options, pool)
        rows = _decode_all(listing, options, (*target, channels), room, pool)
    labels, label_names = _labels(listing.kept)
    return Dataset(
        rows=rows,
        labels=labels,
        label_names=label_names,
        name=shown(listing.root.resolve().name or "images"),
        skipped=tuple(listing.skipped),
    )


def _sort_in(
    entry: "os.DirEntry[str]",
    name: str,
    listing: Listing,
    pending: list[str],
    suffixes: frozenset[str],
    real: str,
) -> None:
    if entry.name.startswith(".") or entry.name in _LEFT_ALONE:
        return
    if entry.is_dir(follow_symlinks=False):
        pending.append(name + os.sep)
    elif entry.is_dir():
        listing.skip(name, "a link to a folder, not followed")
    elif os.path.splitext(entry.name)[1].lower() not in suffixes:
        listing.others.append(name)
    elif entry.is_symlink() and not os.path.realpath(entry.path).startswith(real + os.sep):
        listing.skip(name, "a link out of the folder")
    else:
        listing.names.append(name)


def _natural(name: str) -> list[list[tuple[str, int]]]:
    parts = [re.findall(r"([^0-9]*)([0-9]*)", part) for part in name.split(os.sep)]
    return [[(word, int(digits or -1)) for word, digits in part] for part in parts]


def _target(
    listing: Listing, options: SourceOptions, pool: ThreadPoolExecutor
) -> tuple[tuple[int, int], int]:
    if options.size is not None and options.channels is not None:
        return (options.size, options.size), options.channels
    looked_at = options.limit if options.size is None else _COLOUR_PROBES
    results = in_order(pool, attempt(probe), listing.paths[:looked_at])
    probes = [result for result in results if isinstance(result, Probe)]
    is_colour = any(found.is_colour for found in probes[:_COLOUR_PROBES])
    size = (options.size, options.size) if options.size is not None else common_size(probes)
    return size, options.channels or (3 if is_colour else 1)


def common_size(probes: list[Probe]) -> tuple[int, int]:
    """Return the size of images that are all of one, or else the side that most of them fill.

    Example:
        >>> common_size([Probe(40, 70, True), Probe(90, 100, True)])
        (64, 64)
    """
    sizes = {(found.height, found.width) for found in probes}
    if len(sizes) == 1:
        return sizes.pop()
    short = median(min(found.height, found.width) for found in probes) if probes else _SMALLEST
    side = 1 << (int(short).bit_length() - 1)
    return (min(max(side, _SMALLEST), _LARGEST),) * 2


def _decode_all(
    listing: Listing,
    options: SourceOptions,
    shape: tuple[int, int, int],
    room: Path | None,
    pool: ThreadPoolExecutor,
) -> NDArray[np.uint8]:
    def load(path: Path) -> NDArray[np.uint8]:
        with decoded(path) as pixels:
            return fit(recolour(pixels[None], shape[2]), shape[:2], options.crop)

    most = min(len(listing.names), options.limit or len(listing.names))
    size = most * shape[0] * shape[1] * shape[2]
    check_memory(size) if room is None else check_room(room, size)
    writer = RowWriter(None if room is None else room / ROWS, shape, np.uint8, most=most)
    kept = listing.kept
    try:
        for name, result in zip(
            listing.names, in_order(pool, attempt(load), listing.paths), strict=False
        ):
            if isinstance(result, str):
                listing.skip(name, result)
                continue
            writer.append(result)
            kept.append(name)
            if len(kept) == most:
                break
        if not kept:
            raise UserError(_nothing_readable(listing))
        return writer.finish()
    finally:
        writer.close()


def attempt(read: Callable[[S], T]) -> Callable[[S], T | str]:
    """Wrap a reader so that a file it cannot use gives the reason in words."""

    def attempted(file: S) -> T | str:
        try:
            return read(file)
        except UserError as error:
            return str(error)

    return attempted


def in_order(pool: ThreadPoolExecutor, work: Callable[[S], T], files: Iterable[S]) -> Iterator[T]:
    """Do the same work on all files, several at a time, and yield the results in their order."""
    # Unlike pool.map this keeps few results waiting, so memory does not grow with the folder.
    rest = iter(files)
    waiting: deque[Future[T]] = deque()
    for path in islice(rest, 4 * (os.cpu_count() or 1)):
        waiting.append(pool.submit(work, path))
    while waiting:
        result = waiting.popleft().result()
        for path in islice(rest, 1):
            waiting.append(pool.submit(work, path))
        yield result


def _labels(kept: list[str]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    folders = [name.split(os.sep)[0] for name in kept if os.sep in name]
    if len(folders) < len(kept):
        return None, ()
    names = sorted(set(folders), key=lambda name: (_natural(name), name))
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[name] for name in folders], np.int64), tuple(map(shown, names))


def _nothing_readable(listing: Listing) -> str:
    reasons = "; ".join(listing.skipped[:3])
    return f"{listing.root} holds no image that can be read ({reasons}); check the files."
