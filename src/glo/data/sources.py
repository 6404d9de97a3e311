"""Opening of any source of examples: a name, a folder, a file, an array, a dataset."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch.utils.data
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import Tensor

from glo.data.cache import cache_key, open_cached
from glo.data.column_spec import NO_COLUMN_SPEC, ColumnSpec, split_column_spec
from glo.data.dataset import Dataset
from glo.data.options import DEFAULTS, SourceOptions, check_train_split
from glo.data.readers.array_files import open_idx_folder, open_npy_file, open_npz_file
from glo.data.readers.arrays import infer_layout, open_array, open_layout
from glo.data.readers.hugging_face import is_hf_dataset, is_hf_folder, open_hf_dataset
from glo.data.readers.idx import is_idx_name
from glo.data.readers.image_files import (
    Listing,
    list_images,
    read_images,
    read_listing,
    suffix_hint,
)
from glo.data.readers.images import image_suffixes
from glo.data.readers.mnist import mnist
from glo.data.readers.sparse import open_sparse
from glo.data.readers.tables import TABLES, is_table, open_frame, open_table_file
from glo.data.readers.torch_dataset import is_torch_dataset, open_torch_dataset
from glo.data.storage import is_dataset_folder
from glo.errors import UserError, UserTypeError
from glo.utils.files import existing_path

__all__ = ["open_images", "open_source"]

_KINDS = (
    "a folder of images, a folder of IDX files, a .npy, .npz, .csv or .parquet file, a dataset of "
    "Hugging Face as hf:NAME, or 'mnist'"
)
_HUGGING_FACE = "hf:"
_NO_LABELS = ColumnSpec(label="none")


def open_source(
    source: str | Path | NDArray[Any] | Tensor | torch.utils.data.Dataset[Any],
    options: SourceOptions = DEFAULTS,
    *,
    cache: Path | None = None,
) -> Dataset:
    """Open any source of examples.

    Args:
        source: "mnist" (bundled); a folder of images, of IDX files, or made by `Dataset.save`; a
            .npy or .npz file; one image file; a .csv or .parquet file; a dataset of Hugging Face,
            loaded or as "hf:NAME"; a data frame or Arrow table; an array or tensor as for
            `open_array`; a sparse matrix of scipy; a map-style dataset of PyTorch whose items are
            examples or pairs (example, label); a `Dataset`.
        options: size, channels, crop, split, limit.
        cache: folder of decoded datasets; None is $GLO_CACHE, or $XDG_CACHE_HOME/glo, or
            ~/.cache/glo.

    Returns:
        the dataset, memory-mapped where possible.

    Raises:
        UserError: the source does not exist, is of another kind, damaged, or has no such split.
        UserTypeError: the source is of a type that has no examples.

    Example:
        >>> open_source(np.zeros((7, 3, 16, 16), np.uint8), SourceOptions(channels=1))
        Dataset('array', n=7, shape=(1, 16, 16))
        >>> open_source("mnits")
        Traceback (most recent call last):
        glo.errors.UserError: There is no file or folder 'mnits'. Did you mean 'mnist'?
    """
    if isinstance(source, str | Path):
        return _open_place(source, options, cache)
    if isinstance(source, Dataset):
        return _convert_dataset(source, options)
    if isinstance(source, np.ndarray | Tensor):
        check_train_split("An array", options)
        return open_array(source, options=options)
    if issparse(source):
        return open_sparse(source, options)
    if is_table(source):
        return open_frame(source, options)
    if is_hf_dataset(source):
        return open_hf_dataset(source, options, cache=cache)
    if is_torch_dataset(source):
        return open_torch_dataset(source, options)
    raise UserTypeError(
        f"The source is of type {type(source).__name__}; give an array, a tensor, a data frame,"
        f" an Arrow table, a datasets.Dataset, a map-style torch Dataset, or {_KINDS}."
    )


def open_images(files: Sequence[str | Path], options: SourceOptions = DEFAULTS) -> Dataset:
    """Decode the named image files, in the order given; row i is file i."""
    if not files:
        raise UserError("No image file was given; name at least one.")
    listing = Listing(Path(), [os.fspath(existing_path(file)) for file in files])
    try:
        dataset = read_listing(listing, options, None)
    except UserError:
        if not listing.skipped:
            raise
    if listing.skipped:
        raise UserError(f"{listing.skipped[0]}; name image files that pillow can read.")
    return dataset.replace(name="images")


def _open_place(source: str | Path, options: SourceOptions, cache: Path | None) -> Dataset:
    if source == "mnist":
        return mnist(options, cache=cache)
    place, spec = split_column_spec(str(source))
    if place.startswith(_HUGGING_FACE):
        return open_hf_dataset(place.removeprefix(_HUGGING_FACE), options, spec, cache)
    path = existing_path(place, "mnist")
    if path.is_dir():
        # Otherwise the message would name a file in the folder.
        if not os.access(path, os.R_OK | os.X_OK):
            raise UserError(f"{path} cannot be read (Permission denied); check its permissions.")
        if is_hf_folder(path):
            return open_hf_dataset(place, options, spec, cache)
    if path.suffix.lower() in TABLES and path.is_file():
        return open_table_file(path, options, spec, cache)
    is_npz = path.suffix.lower() == ".npz" and path.is_file()
    is_idx = path.is_dir() and any(is_idx_name(name) for name in os.listdir(path))
    is_label = spec == ColumnSpec(label=spec.label)
    if is_npz and is_label:
        return open_npz_file(path, options, cache, spec.label)
    if is_idx and is_label and spec.label in ("", "none"):
        return open_idx_folder(path, options, cache, spec.label)
    is_npy = path.suffix.lower() == ".npy" and path.is_file()
    if spec != NO_COLUMN_SPEC and not (is_npy and spec == _NO_LABELS):
        alternative = " or write ?label=none" if is_npz or is_idx or is_npy else ""
        raise UserError(
            f"{path} has no columns to choose from; leave out the question mark{alternative}."
        )
    return (_open_folder if path.is_dir() else _open_file)(path, options, cache)


def _open_folder(folder: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    if is_dataset_folder(folder):
        return _convert_dataset(Dataset.open(folder), options)
    check_train_split(f"The folder of images {folder}", options)
    listing = list_images(folder)
    if not listing.names:
        raise UserError(_no_images(listing))
    # The notes of a cached dataset report the other files, too.
    others = [*listing.skipped, *listing.describe_others(), *sorted(listing.folders)]
    key = cache_key(f"images {others}", folder, listing.paths, options)
    return open_cached(key, lambda temporary: read_images(listing, options, temporary), cache)


def _open_file(path: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    if not path.is_file():
        raise UserError(f"{path} is neither a file nor a folder; give {_KINDS}.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return open_npy_file(path, options, cache)
    if suffix in image_suffixes():
        check_train_split(str(path), options)
        return open_images([path], options)
    allowed = "the folder that it is in" if is_idx_name(path.name) else _KINDS
    hint = suffix_hint(suffix)
    raise UserError(f"{path} is not a file that can be used by itself{hint}; give {allowed}.")


def _convert_dataset(dataset: Dataset, options: SourceOptions) -> Dataset:
    what = f"The dataset {dataset.name!r}"
    check_train_split(what, options)
    if options.limit is not None:
        dataset = dataset.subset(np.arange(len(dataset))[: options.limit])
    if not dataset.is_images:
        infer_layout(dataset.rows, options, what)
        return dataset
    # Its pixels are bytes from black to white, whatever the reading of their source.
    if options.pixel_range is not None and options.reading is None:
        note = f"{what} has pixels from black to white already, so the pixel range is not used."
        dataset = dataset.replace(notes=(*dataset.notes, note))
    options = replace(options, pixel_range=None, reading=None)
    layout = infer_layout(dataset.rows, options, what)
    if dataset.rows.shape[1:] == layout.row:
        return dataset
    if dataset.missing is not None:
        raise UserError(f"{what} has a mask of missing pixels; leave size and channels at None.")
    return dataset.replace(rows=open_layout(layout, None, dataset.name, {}).rows)


def _no_images(listing: Listing) -> str:
    if listing.skipped:
        return f"{listing.root} has no image that can be used ({'; '.join(listing.skipped[:3])})."
    if not listing.others:
        return f"The folder {listing.root} is empty; give {_KINDS}."
    names = ", ".join(sorted(listing.others)[:3])
    others = " ".join(listing.describe_others())
    return f"The folder {listing.root} has no images, but {names}; give {_KINDS}. {others}"
