"""One door for every kind of source: a name, a folder, a file, an array."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.data.cache import fetch, key_of
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec, split_column_spec
from glo.data.dataset import Dataset
from glo.data.options import DEFAULTS, SourceOptions
from glo.data.readers.array_files import (
    check_no_split,
    is_idx_name,
    open_idx_folder,
    open_npy_file,
    open_npz_file,
)
from glo.data.readers.arrays import convert, lay_out, open_array
from glo.data.readers.folder import Listing, list_images, read_images
from glo.data.readers.hugging_face import is_dataset, is_saved_dataset, open_dataset, open_loaded
from glo.data.readers.images import image_suffixes, shown
from glo.data.readers.mnist import head, mnist
from glo.data.readers.tables import TABLES, is_table, open_frame, open_table_file
from glo.data.storage import is_store
from glo.errors import UserError, UserTypeError
from glo.utils.files import suggest_beside

__all__ = ["open_images", "open_source"]

_KINDS = (
    "a folder of images, a folder of IDX files, a .npy, .npz, .csv or .parquet file, a data set of "
    "Hugging Face as hf:NAME, or 'mnist'"
)
_HUGGING_FACE = "hf:"


def open_source(
    source: str | Path | NDArray[Any] | Tensor | Dataset,
    options: SourceOptions = DEFAULTS,
    *,
    cache: Path | None = None,
) -> Dataset:
    """Open any source of examples.

    Args:
        source: "mnist" (bundled); a folder of images, of IDX files, or made by `Dataset.save`; a
            .npy or .npz file; one image file; a .csv or .parquet file; a data set of Hugging Face,
            loaded or as "hf:NAME"; a data frame or Arrow table; an array or tensor as for
            `open_array`; a set.
        options: size, channels, crop, split, limit.
        cache: folder that keeps what was decoded; None is $GLO_CACHE, or $XDG_CACHE_HOME/glo, or
            ~/.cache/glo.

    Returns:
        the set, memory-mapped where that can be.

    Raises:
        UserError: if the source is not there, not of these kinds, damaged, or has no such split.
        UserTypeError: if it is of a kind that cannot hold examples.

    Example:
        >>> open_source(np.zeros((7, 3, 16, 16), np.uint8), SourceOptions(channels=1))
        Dataset('array', n=7, shape=(1, 16, 16))
        >>> open_source("mnits")
        Traceback (most recent call last):
        glo.errors.UserError: There is no file or folder 'mnits'. Did you mean 'mnist'?
    """
    if isinstance(source, Dataset):
        return _refit(source, options)
    if isinstance(source, np.ndarray | Tensor):
        check_no_split("An array", options)
        return open_array(source, options=options)
    if is_table(source):
        return open_frame(source, options)
    if is_dataset(source):
        return open_loaded(source, options, cache)
    if not isinstance(source, str | Path):
        raise UserTypeError(
            f"The source is of type {type(source).__name__}; give an array, a tensor, a data frame,"
            f" an Arrow table, a datasets.Dataset, or {_KINDS}."
        )
    if source == "mnist":
        return mnist(options, cache=cache)
    place, choice = split_column_spec(str(source))
    if place.startswith(_HUGGING_FACE):
        return open_dataset(place.removeprefix(_HUGGING_FACE), options, choice, cache)
    path = _existing(place)
    if path.is_dir():
        _check_rights(path)
    if path.is_dir() and is_saved_dataset(path):
        return open_dataset(place, options, choice, cache)
    if path.suffix.lower() in TABLES and path.is_file():
        return open_table_file(path, options, choice, cache)
    _check_no_choice(path, choice)
    return (_open_folder if path.is_dir() else _open_file)(path, options, cache)


def open_images(files: Sequence[str | Path], options: SourceOptions = DEFAULTS) -> Dataset:
    """Decode the named image files, in the order given; row i is file i.

    Raises:
        UserError: if one of them cannot be read.

    Example:
        >>> open_images(["cat.jpg"])
        Traceback (most recent call last):
        glo.errors.UserError: There is no file or folder 'cat.jpg'.
    """
    if not files:
        raise UserError("No image file was given; name at least one.")
    paths = [_existing(file) for file in files]
    listing = Listing(Path(), [os.fspath(path) for path in paths])
    try:
        rows = read_images(listing, options, None).rows
    except UserError:
        if not listing.skipped:
            raise
    if listing.skipped:
        raise UserError(f"{listing.skipped[0]}; name image files that pillow can read.")
    return Dataset(rows=rows, name="images")


def _check_no_choice(path: Path, choice: ColumnSpec) -> None:
    if choice != NO_COLUMN_SPEC:
        raise UserError(
            f"{shown(path)} has no columns to choose from; leave away what follows the question "
            f"mark."
        )


def _existing(source: str | Path) -> Path:
    try:
        path = Path(source).expanduser()
        if path.exists():
            return path
        near = suggest_beside(path, *(["mnist"] if path.parent == Path() else []))
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"'{shown(source)}' cannot be opened ({error}); give {_KINDS}.") from error
    raise UserError(f"There is no file or folder '{shown(source)}'.{near}")


def _check_rights(folder: Path) -> None:
    # Else whatever is looked for in it first would be named, which nobody may have put there.
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{shown(folder)} cannot be read (Permission denied); check its rights.")


def _open_folder(folder: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    if is_store(folder):
        return _refit(Dataset.open(folder), options)
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}); check its rights.") from error
    if any(is_idx_name(name) for name in names):
        return open_idx_folder(folder, options, cache)
    check_no_split(f"The folder of images {folder}", options)
    listing = list_images(folder)
    if not listing.names:
        raise UserError(_no_images(listing))
    key = key_of("images", folder, listing.paths, options)
    return fetch(key, lambda room: read_images(listing, options, room), cache)


def _open_file(path: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    if not path.is_file():
        raise UserError(f"{shown(path)} is neither a file nor a folder; give {_KINDS}.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return open_npy_file(path, options, cache)
    if suffix == ".npz":
        return open_npz_file(path, options, cache)
    if suffix in image_suffixes():
        check_no_split(str(path), options)
        return open_images([path], options)
    allowed = "the folder that it is in" if is_idx_name(path.name) else _KINDS
    raise UserError(f"{shown(path)} is not a file that can be used by itself; give {allowed}.")


def _refit(samples: Dataset, options: SourceOptions) -> Dataset:
    what = f"The set {samples.name!r}"
    check_no_split(what, options)
    samples = head(samples, options.limit)
    layout = lay_out(samples.rows, options, what)
    if layout.is_ready:
        return samples
    if samples.missing is not None:
        raise UserError(f"{what} has a mask of missing pixels; leave size and channels at None.")
    return Dataset(
        rows=convert(layout, None),
        labels=samples.labels,
        name=samples.name,
        label_names=samples.label_names,
        skipped=samples.skipped,
    )


def _no_images(listing: Listing) -> str:
    if listing.skipped:
        return f"{listing.root} holds no image that can be used ({'; '.join(listing.skipped[:3])})."
    if not listing.others:
        return f"The folder {listing.root} is empty; give {_KINDS}."
    names = ", ".join(shown(name) for name in sorted(listing.others)[:3])
    return f"The folder {listing.root} holds no images, but {names}; give {_KINDS}."
