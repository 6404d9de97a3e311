"""Files of whole arrays as datasets: .npy, .npz and folders of IDX files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from glo.data.cache import cache_key, open_cached
from glo.data.dataset import Dataset
from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.arrays import (
    Layout,
    convert_rows,
    infer_layout,
    labelled_dataset,
    limit_rows,
)
from glo.data.readers.idx import find_idx_files, idx_options, read_idx
from glo.data.readers.npy import open_npy, read_npz_examples
from glo.data.storage import check_space
from glo.errors import UserError, printable

__all__ = ["open_idx_folder", "open_npy_file", "open_npz_file"]

_Reader = Callable[[], tuple[NDArray[Any], NDArray[Any] | None]]


def open_npy_file(path: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    """Open a .npy file; only values of another dtype or layout are converted into the cache."""
    check_train_split(str(path), options)
    return _open(
        "npy", path, [path], lambda: (open_npy(path), None), options, cache, is_mapped=True
    )


def open_npz_file(path: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    """Open a .npz file with an array x, images, data or arr_0 (or a single array), and perhaps
    labels or y; or with x_train, y_train, x_test, y_test or train_images and so on.
    """
    return _open("npz", path, [path], lambda: read_npz_examples(path, options), options, cache)


def open_idx_folder(folder: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    """Open a folder of IDX files such as train-images-idx3-ubyte, plain, .gz or .xz."""
    images, labels = find_idx_files(folder, options.split)
    return _open(
        "idx",
        folder,
        [images] if labels is None else [images, labels],
        lambda: (read_idx(images), None if labels is None else read_idx(labels)),
        options,
        cache,
        is_mapped=images.suffix.lower() not in (".gz", ".xz"),
    )


def _open(
    kind: str,
    root: Path,
    files: list[Path],
    read: _Reader,
    options: SourceOptions,
    cache: Path | None,
    *,
    is_mapped: bool = False,
) -> Dataset:
    def load() -> tuple[Layout, NDArray[Any] | None]:
        values, labels = read()
        if labels is not None and labels.shape[:1] != values.shape[:1]:
            raise UserError(
                f"{root} has examples of shape {values.shape} but labels of shape {labels.shape}; "
                f"give one label for each example."
            )
        adjusted = idx_options(values, options) if kind == "idx" else options
        layout = infer_layout(limit_rows(values, options.limit), adjusted, str(root))
        return layout, None if labels is None else limit_rows(labels, options.limit)

    def build(folder: Path | None) -> Dataset:
        layout, labels = load()
        if folder is None and not layout.is_ready:
            check_space(None, layout.nbytes)
        return make(convert_rows(layout, folder), labels)

    def make(rows: NDArray[Any], labels: NDArray[Any] | None) -> Dataset:
        path = root.resolve()
        name = printable((path.name if path.is_dir() else path.stem) or "data")
        return labelled_dataset(rows, labels, name, f"The labels of {root}")

    if is_mapped:
        layout, labels = load()
        if layout.is_ready:
            return make(convert_rows(layout, None), labels)
    return open_cached(cache_key(kind, root, files, options), build, cache)
