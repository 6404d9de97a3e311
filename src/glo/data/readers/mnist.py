"""The bundled MNIST dataset."""

import hashlib
import lzma
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.data.cache import cache_key, open_cached
from glo.data.dataset import Dataset
from glo.data.options import DEFAULTS, SourceOptions
from glo.data.readers.arrays import infer_layout, labels_of, open_layout
from glo.data.readers.idx import idx_options, read_idx
from glo.errors import UserError

__all__ = ["mnist"]

# MD5 of the unpacked files, as published with the data.
_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def mnist(options: SourceOptions = DEFAULTS, *, cache: Path | None = None) -> Dataset:
    """Open the bundled MNIST, 60,000 train or 10,000 test digits, resized from 28 to 32 pixels.

    Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to
    document recognition", 1998.
    """
    part = "train" if options.split == "train" else "t10k"
    images_name, labels_name = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def build(folder: Path | None) -> Dataset:
        images, labels = _unpack(images_name), _unpack(labels_name)
        layout = infer_layout(images, idx_options(images, options), "mnist")
        return open_layout(layout, folder, "mnist", labels_of(labels, "The labels of mnist"))

    key = cache_key("mnist", _MD5[images_name], [], replace(options, limit=None))
    dataset = open_cached(key, build, cache)
    return dataset.subset(np.arange(len(dataset))[: options.limit])


def _unpack(name: str) -> NDArray[Any]:
    try:
        packed = resources.files("glo.data").joinpath("mnist", f"{name}.xz").read_bytes()
        data = lzma.decompress(packed)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UserError(f"The bundled {name}.xz cannot be read; install glo again.") from error
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != _MD5[name]:
        raise UserError(f"The bundled {name}.xz has another checksum; install glo again.")
    return read_idx(data)
