"""Map-style datasets of PyTorch, of examples or of (example, label), read once into rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch.utils.data
from numpy.typing import NDArray
from torch import Tensor

from glo.data.dataset import Dataset
from glo.data.labels import encode_labels
from glo.data.options import SourceOptions, check_train_split
from glo.data.readers.arrays import open_array, to_numpy
from glo.data.readers.images import to_array
from glo.errors import UserError, UserTypeError, listed, printable

__all__ = ["is_torch_dataset", "open_torch_dataset"]

_CONTAINERS = (str, bytes, bytearray, memoryview, list, tuple, Mapping)


def is_torch_dataset(source: object) -> bool:
    """Return whether an object is a dataset of PyTorch, or a class with the same two methods."""
    if isinstance(source, torch.utils.data.Dataset):
        return True
    has_methods = hasattr(source, "__getitem__") and hasattr(source, "__len__")
    return has_methods and not isinstance(source, (*_CONTAINERS, type))


def open_torch_dataset(source: Any, options: SourceOptions) -> Dataset:
    """Read a map-style dataset of PyTorch into memory.

    Items are examples or pairs (example, label): tensors, arrays or pillow images of one shape, as
    for `open_array`, and integers from 0 or strings, named by `source.classes` if there is such a
    list.
    """
    kind = printable(type(source).__name__)
    if isinstance(source, torch.utils.data.IterableDataset) or not hasattr(source, "__len__"):
        raise UserTypeError(
            f"The source is an iterable-style dataset, {kind}; give a map-style dataset with "
            f"__len__ and __getitem__, or its examples as an array."
        )
    check_train_split(f"The dataset {kind}", options)
    n = min(len(source), options.limit or len(source))
    if n == 0:
        raise UserError(f"The dataset {kind} is empty; give at least one example.")
    example, label = _split_item(source[0], 0)
    array = np.empty((n, *example.shape), example.dtype)
    labels = [label]
    array[0] = example
    for row in range(1, n):
        example, label = _split_item(source[row], row)
        if (example.shape, example.dtype) != (array.shape[1:], array.dtype):
            raise UserError(
                f"Item {row} of the dataset {kind} has shape {example.shape} and dtype "
                f"{example.dtype}, but item 0 has shape {array.shape[1:]} and dtype {array.dtype}; "
                f"give examples of one shape and dtype."
            )
        array[row] = example
        labels.append(label)
    dataset = open_array(array, name=kind, options=options)
    if all(label is None for label in labels):
        return dataset
    classes, what = _class_names(source), f"The labels of the dataset {kind}"
    if classes and all(type(label) is int and 0 <= label < len(classes) for label in labels):
        return dataset.replace(labels=np.array(labels, np.int64), label_names=classes)
    numbers, names = encode_labels(labels, what)
    notes = dataset.notes
    if classes and not set(names) <= set(classes):
        notes += (
            f"{what} are not the numbers 0 to {len(classes) - 1} of its classes, so they are the"
            f" names themselves: {listed(names)}.",
        )
    return dataset.replace(labels=numbers, label_names=names, notes=notes)


def _split_item(item: Any, row: int) -> tuple[NDArray[Any], Any]:
    example, label = item, None
    if isinstance(item, tuple | list) and len(item) in (1, 2):
        example, label = (*item, None)[:2]
    if isinstance(label, Tensor | np.ndarray):
        label = to_numpy(label, f"The label of item {row}")
        if label.size != 1:
            raise UserError(
                f"The label of item {row} has shape {label.shape}; give one integer or "
                f"string for each example."
            )
        label = label.item()
    if isinstance(example, Tensor | np.ndarray):
        return to_numpy(example, f"Item {row} of the dataset"), label
    if hasattr(example, "has_transparency_data"):  # an image of pillow
        return to_array(example), label
    raise UserTypeError(
        f"Item {row} of the dataset is of type {type(item).__name__}"
        f"{'' if example is item else f' with an example of type {type(example).__name__}'}; give "
        f"a tensor, an array or an image, or a pair of it and a label."
    )


def _class_names(source: Any) -> tuple[str, ...]:
    # `torch.utils.data.Subset` has the classes of its `dataset`.
    names = getattr(source, "classes", None) or getattr(
        getattr(source, "dataset", None), "classes", None
    )
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(map(printable, names))
