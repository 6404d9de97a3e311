"""Image files: listed below a folder, decoded into rows of one shape."""

import os
import warnings
from collections import Counter, deque
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
from glo.data.readers.folder_classes import classify_by_folder, natural_key
from glo.data.readers.image_notes import describe_images
from glo.data.readers.images import ImageFacts, decode_within_limit, image_suffixes, probe
from glo.data.readers.npy import open_npy
from glo.data.readers.pixel_range import decide_ranges
from glo.data.reading import Reading
from glo.data.storage import ROWS_FILE, RowWriter, check_space, concatenate_rows, to_ids
from glo.errors import UserError, install_command, printable
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup

__all__ = [
    "DecodedFiles",
    "Listing",
    "decode_files",
    "list_images",
    "read_images",
    "read_listing",
    "suffix_hint",
]

_IGNORED_NAMES = frozenset({"__MACOSX"})
_HEIC = f"{install_command('heic')} reads them"
_HINTS = {
    ".heic": _HEIC,
    ".heif": _HEIC,
    ".hif": _HEIC,
    ".avif": "pillow 11.3 or newer reads them",
}
_MAX_ENDINGS = 10
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
        folders: paths of the folders, relative to `root`.
    """

    root: Path
    names: list[str] = field(default_factory=list)
    decoded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        return [self.root / name for name in self.names]

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append(printable(f"{name}: {reason}"))

    def describe_others(self) -> list[str]:
        """Return sentences with the numbers of files that were left out, by their ending."""
        counts = Counter(os.path.splitext(name)[1].lower() for name in self.others)
        notes = [
            f"{counts.pop(ending):,} files ending in {ending} were left out ({hint})."
            for ending, hint in _HINTS.items()
            if ending in counts
        ]
        if counts:
            kinds = [f"{n:,} {e or 'without ending'}" for e, n in counts.most_common(_MAX_ENDINGS)]
            more = ", ..." if len(counts) > _MAX_ENDINGS else ""
            text = printable(", ".join(kinds))
            notes.append(f"{counts.total():,} other files were left out: {text}{more}.")
        return notes


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
                    listing.folders.append(folder + entry.name)
                    pending.append(folder + entry.name + os.sep)
            except OSError as error:  # a link to itself
                listing.skip(folder + entry.name, error.strerror or "cannot be read")
    listing.names.sort(key=lambda name: (natural_key(name), name))
    listing.skipped.sort(key=natural_key)
    return listing


def read_images(listing: Listing, options: SourceOptions, folder: Path | None) -> Dataset:
    """Decode the listed files, and label them by their folders; see `read_listing`."""
    dataset = read_listing(listing, options, folder)
    expected = listing.names if options.limit else listing.decoded
    labels, label_names, notes = classify_by_folder(
        listing.decoded, listing.names, expected, listing.folders
    )
    notes = list(dataset.notes) if options.reading else [*dataset.notes, *notes]
    return dataset.replace(labels=labels, label_names=label_names, notes=tuple(notes))


def read_listing(
    listing: Listing,
    options: SourceOptions,
    folder: Path | None,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> Dataset:
    """Decode the listed files into one dataset; extend `decoded` and `skipped` of the listing.

    See `decode_files` for several processes.
    """
    files = decode_files(
        lambda: listing.paths,
        len(listing.names),
        options,
        folder,
        lambda number, reason: listing.skip(listing.names[number], reason),
        ranks,
    )
    if files.rows is None:
        reasons = "; ".join(listing.skipped[:3])
        raise UserError(
            f"{listing.root} has no image that can be read ({reasons}); check the files."
        )
    listing.decoded += [listing.names[number] for number in files.numbers]
    return Dataset(
        rows=files.rows,
        name=printable(listing.root.resolve().name or "images"),
        skipped=tuple(listing.skipped),
        ids=to_ids([printable(name.replace(os.sep, "/")) for name in listing.decoded]),
        reading=files.reading,
        notes=(*files.notes, *listing.describe_others()),
    )


def suffix_hint(suffix: str) -> str:
    """Return how files with a suffix could be read, as " (...)", or nothing."""
    hint = _HINTS.get(suffix.lower())
    return f" ({hint})" if hint else ""


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


@dataclass(frozen=True, eq=False)
class DecodedFiles:
    """Rows of decoded files.

    Attributes:
        rows: uint8 (n_read, H, W, C), or None if no file could be decoded.
        numbers: numbers of the files that were decoded.
        reading: values of black and white in the files.
        notes: one sentence for each decision about the files.
    """

    rows: NDArray[np.uint8] | None
    numbers: list[int]
    reading: Reading
    notes: tuple[str, ...]


def decode_files(
    files: Callable[[], Iterable[_File]],
    n: int,
    options: SourceOptions,
    folder: Path | None,
    on_error: Callable[[int, str], None],
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> DecodedFiles:
    """Decode image files in parallel and fit them to one shape.

    All files are probed first, since size, channels and the range of the values are those of the
    source, not of a file.

    Args:
        files: function that iterates over the `n` files from the first one.
        n: number of files.
        options: options of the source; `limit` counts readable files.
        folder: folder that the rows are written to, or None for memory.
        on_error: called with the number of a file that cannot be decoded and the reason.
        ranks: processes with the same files, of which each decodes a share; `folder` is one
            that all of them see, and there is no `limit`.
    """
    image_suffixes()  # loads pillow's plugins, which is not thread-safe
    share = range(n)[n * ranks.rank // ranks.size : n * (ranks.rank + 1) // ranks.size]
    max_rows = min(len(share), options.limit or n)

    def own_files() -> Iterable[_File]:
        return islice(files(), share.start, share.stop)

    with warnings.catch_warnings(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        # Pillow warns of odd metadata; errors are reported by `on_error`.
        warnings.simplefilter("ignore")
        results = _map_in_order(pool, lambda file: probe(file, measure=True), own_files())
        readable = (each for each in results if not isinstance(each, str))
        probes = list(_add_up(Counter(islice(readable, max_rows)), ranks).elements())
        ranges, reading = decide_ranges(probes, options)
        height, width, channels = shape = _common_shape(probes, options)

        def load(file: _File) -> tuple[NDArray[np.uint8], ImageFacts]:
            with decode_within_limit(file) as decoded:
                decided = ranges.get(decoded.facts.kind)
                if decided is None:
                    raise UserError("of another depth than all files that could be read before")
                decided.check(decoded.facts.low, decoded.facts.high)
                pixels = decoded.to_uint8(decided.black, decided.white)
                image = convert_channels(pixels[None], channels)
                return resize(image, (height, width), options.crop), decoded.facts

        with ranks.sharing_errors():
            check_space(folder, min(n, options.limit or n) * height * width * channels)
            writer = RowWriter(_own_folder(folder, ranks), shape, np.uint8, max_rows=max_rows)
            loaded = enumerate(_map_in_order(pool, load, own_files()), share.start)
            own = _decode_share(loaded, writer, max_rows)
    decoded = _join_shares(own, folder, ranks)
    for number, reason in decoded.failed.items():
        on_error(number, reason)
    notes = describe_images(decoded.facts, ranges, shape, options)
    return DecodedFiles(decoded.rows, decoded.numbers, reading, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Share:
    """Files that one process decoded: rows, facts, and reasons of failures by number."""

    rows: NDArray[np.uint8] | None
    numbers: list[int]
    facts: Counter[ImageFacts]
    failed: dict[int, str]


def _decode_share(
    results: Iterable[tuple[int, tuple[NDArray[np.uint8], ImageFacts] | str]],
    writer: RowWriter,
    max_rows: int,
) -> _Share:
    numbers, facts, failed = list[int](), Counter[ImageFacts](), dict[int, str]()
    with writer:
        for number, result in results:
            if isinstance(result, str):
                failed[number] = result
                continue
            writer.append(result[0])
            facts[result[1]] += 1
            numbers.append(number)
            if len(numbers) == max_rows:
                break
        rows = writer.finish() if numbers else None
    return _Share(rows, numbers, facts, failed)


def _own_folder(folder: Path | None, ranks: ProcessGroup) -> Path | None:
    """Return the folder for the rows of this process."""
    if folder is None or ranks.size == 1:
        return folder
    own = folder / f"{ranks.rank}"
    own.mkdir(exist_ok=True)
    return own


def _join_shares(own: _Share, folder: Path | None, ranks: ProcessGroup) -> _Share:
    """Return the shares of all processes as one, whose rows are a file that all of them map."""
    if ranks.size == 1:
        return own
    assert folder is not None, "several processes exchange rows by files"
    found = ranks.all_gather_object([own.numbers, [*own.failed.items()]])
    numbers = [number for each, _ in found for number in each]
    failed = {number: reason for _, pairs in found for number, reason in pairs}
    facts = _add_up(own.facts, ranks)
    if not numbers:
        return _Share(None, numbers, facts, failed)
    with ranks.sharing_errors():
        if ranks.is_main:
            # A process without readable files has a file without rows, which cannot be mapped.
            own_folders = [folder / f"{rank}" for rank, (each, _) in enumerate(found) if each]
            concatenate_rows([each / ROWS_FILE for each in own_folders], folder)
    return _Share(open_npy(folder / ROWS_FILE), numbers, facts, failed)


def _add_up(facts: Counter[ImageFacts], ranks: ProcessGroup) -> Counter[ImageFacts]:
    """Return the numbers of files of equal facts among those of all processes."""
    total = Counter[ImageFacts]()
    for pairs in ranks.all_gather_object([*facts.items()]):
        total.update({ImageFacts(*each): n for each, n in pairs})
    return total


def _common_shape(probes: list[ImageFacts], options: SourceOptions) -> tuple[int, int, int]:
    """Return height, width and channels of the rows.

    The size is that of equally large images, or a power of two near the median short side.
    """
    channels = options.channels or (3 if any(each.is_color for each in probes) else 1)
    if options.size:
        return options.size, options.size, channels
    sizes = {(each.height, each.width) for each in probes}
    if len(sizes) == 1:
        return (*sizes.pop(), channels)
    short = median(min(each.height, each.width) for each in probes) if probes else _MIN_SIDE
    side = 1 << (int(short).bit_length() - 1)
    side = min(max(side, _MIN_SIDE), _MAX_SIDE)
    return side, side, channels


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
