"""Inputs of a finished run: examples with names, of the shape of the training data."""

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_source
from glo.data.cache import cache_folder
from glo.data.labels import encode_labels
from glo.data.options import Split
from glo.data.readers.folder_classes import classify_by_folder
from glo.data.readers.idx import is_idx_name
from glo.data.readers.image_files import Listing, list_images, read_listing
from glo.data.readers.images import image_suffixes, probe
from glo.data.storage import MAX_MEMORY_BYTES, is_dataset_folder, to_ids
from glo.errors import UserError, printable
from glo.runs.row_ids import RowIds
from glo.runs.run import Run
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["Inputs", "image_options", "open_examples", "open_inputs"]

_CHUNK = 2048
# Root of the listing of a single file; as an object it differs from the folder ".".
_NO_FOLDER = Path()


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Dataset of n examples with n names: the file as it was given, an index value, or source[row].

    The identities of images in `dataset` are paths relative to the folder that was given. Their
    labels are the classes of the run by the names of folders, see `_class_of`, and new ones.

    Attributes:
        files: paths of n image files; empty for other sources.
    """

    dataset: Dataset
    names: tuple[str, ...]
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.dataset)


def open_inputs(
    run: Run,
    files: Sequence[str],
    *,
    split: Split = "train",
    limit: int | None = None,
    shape: tuple[int, ...] | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
    shared: Path = _NO_FOLDER,
) -> Inputs:
    """Open image files and folders, or one other source, as inputs of a run.

    Images are cropped and scaled like the training data, unless `shape` (C, H, W) is given: the
    required shape of degraded images, which are never scaled.

    Several processes, `ranks`, decode a share each of all image files into the folder `shared`,
    which all of them see and which the first one deletes at its end. With a limit, which counts
    readable files, each process decodes them all.

    Raises:
        UserError: no files, unreadable files, or examples of another shape.
    """
    if not files:
        raise UserError(
            "No FILES were given; name image files, a folder, a .npy or .npz file, or mnist."
        )
    options = SourceOptions(split=split, limit=limit, reading=run.reading)
    listings = [_list_images(file) for file in files]
    if None not in listings:
        found = [each for each in listings if each is not None]
        sharing = ranks if limit is None else SINGLE_PROCESS
        return _open_images(run, found, options, shape, sharing, shared)
    if len(files) > 1:
        other = files[listings.index(None)]
        # A missing file raises its own error here.
        open_source(other, replace(options, limit=1))
        raise UserError(
            f"{other} is neither an image file nor a folder of images, so it cannot be "
            f"combined with others; give it alone."
        )
    dataset = _open_other(run, files[0], options, shape)
    names = tuple(RowIds(dataset.ids, len(dataset)).named(dataset.name).names)
    _check_not_empty(dataset, names)
    return Inputs(dataset=run.standardize(dataset), names=names)


@with_torch_defaults
def open_examples(run: Run, examples: Any, *, shape: tuple[int, ...] | None = None) -> Dataset:
    """Open examples in memory or in files as `open_inputs` opens files.

    Args:
        run: the run.
        examples: anything that `glo.open_source` takes, or several image files. Images in a float
            tensor are in [-1, 1], as decoders return them.
        shape: required shape of degraded images, which are not scaled; None: that of the run.

    Raises:
        UserError: the examples cannot be read, or have another shape or range.
    """
    if isinstance(examples, str | Path):
        examples = [examples]
    if isinstance(examples, list | tuple) and all(isinstance(e, str | Path) for e in examples):
        return open_inputs(run, [os.fspath(file) for file in examples], shape=shape).dataset
    options = SourceOptions(reading=run.reading)
    dataset = _open_other(run, examples, options, shape)
    names = tuple(RowIds(dataset.ids, len(dataset)).named(dataset.name).names)
    _check_not_empty(dataset, names)
    return run.standardize(dataset)


def _list_images(file: str) -> Listing | None:
    """List the images of a folder, or a file below `_NO_FOLDER`; None for other sources."""
    try:
        path = Path(file).expanduser()
        if file == "mnist" or not path.exists():
            return None
        if path.is_dir():
            if is_dataset_folder(path) or any(is_idx_name(name) for name in os.listdir(path)):
                return None
            listing = list_images(path)
            return listing if listing.names else None
    except (OSError, ValueError, RuntimeError):
        return None
    is_image = path.is_file() and path.suffix.lower() in image_suffixes()
    return Listing(_NO_FOLDER, [os.fspath(path)]) if is_image else None


def _open_images(
    run: Run,
    listings: list[Listing],
    options: SourceOptions,
    shape: tuple[int, ...] | None,
    ranks: ProcessGroup,
    shared: Path,
) -> Inputs:
    if options.split != "train":
        raise UserError("Image files have no 'test' split; leave out --split.")
    if not run.is_images:
        raise UserError(f"FILES are images, but {_expected(run, run.data.shape)}.")
    paths = [os.fspath(path) for listing in listings for path in listing.paths]
    skipped = [reason for listing in listings for reason in listing.skipped]
    others = [os.fspath(listing.root / name) for listing in listings for name in listing.others]
    listing = Listing(Path(), paths, skipped=skipped, others=others)
    expected = shape or run.data.shape

    def read(folder: Path | None) -> Dataset:
        dataset = read_listing(listing, image_options(run, expected, options), folder, ranks)
        # Both lists are in the same order.
        every = ((each.root, name) for each in listings for name in each.names)
        origins = [next(o for o in every if os.fspath(o[0] / o[1]) == p) for p in listing.decoded]
        return _classified(run, dataset, origins)

    try:
        count = min(len(paths), options.limit or len(paths))
        if ranks.size > 1:
            dataset = _read_into(shared, read, _delete_shared if ranks.is_main else None)
        else:
            dataset = _read_images(read, count * math.prod(expected))
    except UserError:
        if listing.decoded or not listing.skipped:
            raise
        reasons = "; ".join(listing.skipped[:3])
        raise UserError(f"None of FILES can be read ({reasons}); check them.") from None
    _check_shape(run, dataset, expected)
    kept = tuple(map(Path, listing.decoded))
    for path in kept if shape else ():
        image = probe(path)
        if (image.height, image.width) != expected[1:]:
            raise UserError(
                f"{path} has {image.height} x {image.width} pixels, but {_expected(run, expected)}."
            )
    return Inputs(
        dataset=dataset,
        names=tuple(printable(str(file)) for file in kept),
        files=kept,
    )


def _classified(run: Run, dataset: Dataset, origins: list[tuple[Path, str]]) -> Dataset:
    """Return images with their paths as identities, and the classes of their folders as labels.

    Args:
        origins: folder that was given, and path of an image below it, of each image.
    """
    ids = to_ids([printable(name.replace(os.sep, "/")) for _, name in origins])
    names: list[str] = []
    # By identity: a file has no folder, and `_NO_FOLDER` equals the folder ".".
    for _, group in groupby(origins, lambda origin: id(origin[0])):
        roots, paths = zip(*group, strict=True)
        names += _classes_of(roots[0], paths, run.label_names)
    labels, label_names = encode_labels(names, "The folders of FILES")
    if run.labels is None and not label_names:
        return dataset.replace(ids=ids)
    return dataset.replace(ids=ids, labels=labels, label_names=label_names)


def _classes_of(root: Path, paths: Sequence[str], known: tuple[str, ...]) -> list[str]:
    """Return the classes of images below a folder: by its own, or else by the folders in it."""
    own = _class_of(root, known)
    if root is _NO_FOLDER:
        return [own] * len(paths)
    numbers, classes, _ = classify_by_folder(paths, paths, paths, ())
    folders = [printable(path.split(os.sep)[0]) if os.sep in path else "" for path in paths]
    if numbers is not None:
        folders = [classes[number] for number in numbers]
    allow_new = numbers is not None and not own
    return [folder if folder in known or allow_new else own for folder in folders]


def _class_of(root: Path, known: tuple[str, ...]) -> str:
    """Return the class of a folder by its own name, or by that of the folder it links to."""
    if root is _NO_FOLDER:
        return ""
    names = (printable(os.path.basename(f(root))) for f in (os.path.abspath, os.path.realpath))
    return next((name for name in names if name in known), "")


def _read_images(read: Callable[[Path | None], Dataset], size: int) -> Dataset:
    """Decode images of `size` bytes into memory, or a temporary folder if that is too small."""
    if size < MAX_MEMORY_BYTES:
        return read(None)
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="inputs-", dir=cache_folder()))
    except OSError:
        return read(None)
    return _read_into(folder, read, _delete)


def _read_into(
    folder: Path,
    read: Callable[[Path | None], Dataset],
    delete: Callable[[Path], None] | None,
) -> Dataset:
    """Decode images into a folder, and delete it, if it is this process's, when they are unused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        dataset = read(folder)
    except BaseException:
        if delete is not None:
            delete(folder)
        raise
    if delete is not None:
        # Datasets derived from this one stay readable: a file exists as long as its map.
        weakref.finalize(dataset, delete, folder)
    return dataset


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _delete_shared(folder: Path) -> None:
    """Delete a folder, and the one that it is in unless that has finished parts."""
    _delete(folder)
    with suppress(OSError):
        folder.parent.rmdir()


def _open_other(
    run: Run, file: Any, options: SourceOptions, shape: tuple[int, ...] | None
) -> Dataset:
    expected = shape or run.data.shape
    fitting = image_options(run, expected, options)
    if shape is not None:
        fitting = replace(fitting, size=None)
    if run.is_images and isinstance(file, Tensor) and file.is_floating_point():
        # By its values a tensor without dark pixels would be one in [0, 1].
        fitting = replace(fitting, pixel_range=(-1.0, 1.0), reading=None)
    try:
        dataset = open_source(file, fitting)
    except UserError:
        # Vectors refuse a size, which the user did not give: report the kind of data instead.
        _check_shape(run, open_source(file, options), expected, only_kind=True)
        raise
    _check_shape(run, dataset, expected)
    return dataset


def image_options(run: Run, shape: tuple[int, ...], options: SourceOptions) -> SourceOptions:
    """Return options by which images become examples (C, H, W) like the training data of a run."""
    if len(shape) != 3:
        return options
    channels, height, width = shape
    size = height if height == width else None
    settings = run.settings
    return replace(
        options,
        size=size,
        channels=channels,
        crop=settings.crop,
        pixel_range=settings.pixel_range,
    )


def _check_shape(
    run: Run, dataset: Dataset, shape: tuple[int, ...], *, only_kind: bool = False
) -> None:
    same = len(dataset.shape) == len(shape) if only_kind else dataset.shape == shape
    if not same:
        kind = "images" if dataset.is_images else "vectors"
        actual = " x ".join(map(str, dataset.shape))
        raise UserError(f"{dataset.name} has {kind} of {actual}, but {_expected(run, shape)}.")


def _check_not_empty(dataset: Dataset, names: tuple[str, ...]) -> None:
    for rows in torch.arange(len(dataset)).split(_CHUNK):
        observed = dataset.observed(rows)
        if observed is None:
            return
        empty = ~(observed > 0).flatten(1).any(1)
        if bool(empty.any()):
            name = names[int(rows[empty][0])]
            raise UserError(f"Every value of {name} is missing; leave it out.")


def _expected(run: Run, shape: tuple[int, ...]) -> str:
    expected = " x ".join(map(str, shape))
    if shape != run.data.shape:
        whole = " x ".join(map(str, run.data.shape))
        return f"this task takes images of {expected} for examples of {whole}; give that size"
    kind = f"images of {expected}" if len(shape) == 3 else f"vectors of {expected} numbers"
    return f"{run.folder} was trained on {kind}; give that size"
