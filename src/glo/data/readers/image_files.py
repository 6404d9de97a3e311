"""Image files: listed below a folder, labelled by subfolder, decoded into rows of one shape."""

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
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from glo.data.dataset import Dataset
from glo.data.options import SourceOptions
from glo.data.pixels import convert_channels, resize
from glo.data.readers.images import Probe, decode_within_limit, image_suffixes, probe
from glo.data.storage import RowWriter, check_space, to_ids
from glo.errors import UserError, printable

__all__ = ["Listing", "decode_files", "list_images", "read_images"]

_IGNORED_NAMES = frozenset({"__MACOSX"})
_COLOR_PROBES = 64
_MIN_SIDE, _MAX_SIDE = 8, 128

T = TypeVar("T")
_File = Path | BinaryIO


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
        ids=to_ids([*map(_posix, listing.decoded)]),
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


def _posix(name: str) -> str:
    return printable(name.replace(os.sep, "/"))


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


def decode_files(
    files: Callable[[], Iterable[_File]],
    n: int,
    options: SourceOptions,
    folder: Path | None,
    on_error: Callable[[int, str], None],
) -> tuple[NDArray[np.uint8] | None, list[int]]:
    """Decode image files in parallel and fit them to one shape.

    Args:
        files: function that iterates over the `n` files from the first one.
        n: number of files.
        options: options of the source; `limit` counts readable files.
        folder: folder that the rows are written to, or None for memory.
        on_error: called with the number of a file that cannot be decoded and the reason.

    Returns:
        uint8 rows (n_read, H, W, C), or None if no file could be decoded; and their file numbers.
    """
    image_suffixes()  # loads pillow's plugins, which is not thread-safe
    with warnings.catch_warnings(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        # Pillow warns of odd metadata; errors are reported by `on_error`.
        warnings.simplefilter("ignore")
        (height, width), channels = _common_shape(files, options, pool)

        def load(file: _File) -> NDArray[np.uint8]:
            with decode_within_limit(file) as pixels:
                image = convert_channels(pixels[None], channels)
                return resize(image, (height, width), options.crop)

        max_rows = min(n, options.limit or n)
        shape = (height, width, channels)
        check_space(folder, max_rows * height * width * channels)
        numbers: list[int] = []
        with RowWriter(folder, shape, np.uint8, max_rows=max_rows) as writer:
            for number, result in enumerate(_map_in_order(pool, load, files())):
                if isinstance(result, str):
                    on_error(number, result)
                    continue
                writer.append(result)
                numbers.append(number)
                if len(numbers) == max_rows:
                    break
            return (writer.finish() if numbers else None), numbers


def _common_size(probes: list[Probe]) -> tuple[int, int]:
    """Return the size of equally large images, or a power of two near the median short side."""
    sizes = {(each.height, each.width) for each in probes}
    if len(sizes) == 1:
        return sizes.pop()
    short = median(min(each.height, each.width) for each in probes) if probes else _MIN_SIDE
    side = 1 << (int(short).bit_length() - 1)
    return (min(max(side, _MIN_SIDE), _MAX_SIDE),) * 2


def _common_shape(
    files: Callable[[], Iterable[_File]], options: SourceOptions, pool: ThreadPoolExecutor
) -> tuple[tuple[int, int], int]:
    size = None if options.size is None else (options.size, options.size)
    if size is not None and options.channels is not None:
        return size, options.channels
    n_probes = options.limit if size is None else _COLOR_PROBES
    results = _map_in_order(pool, probe, islice(files(), n_probes))
    probes = [result for result in results if isinstance(result, Probe)]
    is_color = any(each.is_color for each in probes[:_COLOR_PROBES])
    return size or _common_size(probes), options.channels or (3 if is_color else 1)


def _map_in_order(
    pool: ThreadPoolExecutor, function: Callable[[_File], T], files: Iterable[_File]
) -> Iterator[T | str]:
    """Yield results in the order of the files; a UserError becomes its message."""

    def call(file: _File) -> T | str:
        try:
            return function(file)
        except UserError as error:
            return str(error)

    # Unlike pool.map this limits the pending results, so memory does not grow with the folder.
    remaining = iter(files)
    pending: deque[Future[T | str]] = deque()
    for file in islice(remaining, 4 * (os.cpu_count() or 1)):
        pending.append(pool.submit(call, file))
    while pending:
        result = pending.popleft().result()
        for file in islice(remaining, 1):
            pending.append(pool.submit(call, file))
        yield result
