"""Files of whole arrays as datasets: .npy, .npz and folders of IDX files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from glo.data.cache import cache_key, open_cached
from glo.data.dataset import Dataset
from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.arrays import Layout, infer_layout, labels_of, limit_rows, open_layout
from glo.data.readers.idx import find_idx_files, idx_options, read_idx
from glo.data.readers.npy import StoredArrays, open_npy, read_npz_examples
from glo.data.readers.sparse import is_sparse_file, read_sparse, sparse_note
from glo.data.storage import check_space
from glo.errors import UserError, printable

__all__ = ["open_idx_folder", "open_npy_file", "open_npz_file"]


def open_npy_file(path: Path, options: SourceOptions, cache: Path | None) -> Dataset:
    """Open a .npy file; only values of another dtype or layout are converted into the cache."""
    check_train_split(str(path), options)
    return _open(
        "npy", path, [path], lambda: StoredArrays(open_npy(path)), options, cache, is_mapped=True
    )


def open_npz_file(
    path: Path, options: SourceOptions, cache: Path | None, label: str = ""
) -> Dataset:
    """Open a .npz file with an array x, images, data or arr_0 (or a single array), and perhaps
    labels or y; or with x_train, y_train, x_test, y_test or train_images and so on; or with a
    sparse matrix of scipy. `label` is the name of the array of labels, or "none".
    """
    if not is_sparse_file(path):
        read = partial(read_npz_examples, path, options, label)
        return _open(f"npz {label}", path, [path], read, options, cache)
    check_train_split(str(path), options)
    note = sparse_note(str(path))
    return _open(
        "sparse",
        path,
        [path],
        lambda: StoredArrays(read_sparse(path), notes=(note,)),
        options,
        cache,
    )


def open_idx_folder(
    folder: Path, options: SourceOptions, cache: Path | None, label: str = ""
) -> Dataset:
    """Open a folder of IDX files such as train-images-idx3-ubyte, plain, .gz or .xz.

    `label` "none" leaves out its labels.
    """
    images, labels = find_idx_files(folder, options.split)
    if label == "none":
        labels = None
    return _open(
        f"idx {label}",
        folder,
        [images] if labels is None else [images, labels],
        lambda: StoredArrays(read_idx(images), None if labels is None else read_idx(labels)),
        options,
        cache,
        is_mapped=images.suffix.lower() not in (".gz", ".xz"),
    )


def _open(
    kind: str,
    root: Path,
    files: list[Path],
    read: Callable[[], StoredArrays],
    options: SourceOptions,
    cache: Path | None,
    *,
    is_mapped: bool = False,
) -> Dataset:
    def load() -> tuple[Layout, dict[str, Any]]:
        content = read()
        values, labels = content.examples, content.labels
        if labels is not None and labels.shape[:1] != values.shape[:1]:
            raise UserError(
                f"{root} has examples of shape {values.shape} but labels of shape {labels.shape}; "
                f"give one label for each example."
            )
        adjusted = idx_options(values, options) if kind.startswith("idx") else options
        layout = infer_layout(limit_rows(values, options.limit), adjusted, str(root))
        if labels is not None:
            labels = limit_rows(labels, options.limit)
        fields = labels_of(labels, f"The labels of {root}")
        return layout, {**fields, "notes": (*content.notes, *fields.get("notes", ()))}

    def build(folder: Path | None) -> Dataset:
        layout, labels = load()
        if folder is None and not layout.is_ready:
            check_space(None, layout.nbytes)
        return open_layout(layout, folder, name, labels)

    path = root.resolve()
    name = printable((path.name if path.is_dir() else path.stem) or "data")
    if is_mapped:
        layout, labels = load()
        if layout.is_ready:
            return open_layout(layout, None, name, labels)
    return open_cached(cache_key(kind, root, files, options), build, cache)
