"""The MNIST that comes with the package."""

import hashlib
import lzma
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo.data.cache import fetch, key_of
from glo.data.dataset import Dataset
from glo.data.labels import as_labels
from glo.data.options import DEFAULTS, SourceOptions
from glo.data.readers.arrays import convert, lay_out
from glo.data.readers.idx import read_idx
from glo.errors import UserError

__all__ = ["head", "mnist", "with_idx_size"]

# MD5 of the unpacked files, as published with the data.
_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def mnist(options: SourceOptions = DEFAULTS, *, cache: Path | None = None) -> Dataset:
    """Open the bundled MNIST, 60,000 train or 10,000 test digits, resized from 28 to 32.

    Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to
    document recognition", 1998.

    Args:
        options: `size` None means 32.
        cache: folder that keeps the decoded set, so that it opens at once the next time.

    Returns:
        images with labels 0 to 9.

    Raises:
        UserError: if the installed files are damaged.

    Example:
        >>> import tempfile
        >>> mnist(SourceOptions(split="test", limit=100), cache=Path(tempfile.mkdtemp()))
        Dataset('mnist', n=100, shape=(1, 32, 32), labelled)
    """
    part = "train" if options.split == "train" else "t10k"

    def build(room: Path | None) -> Dataset:
        images, given = _unpack(f"{part}-images-idx3-ubyte"), _unpack(f"{part}-labels-idx1-ubyte")
        rows = convert(lay_out(images, with_idx_size(images, options), "MNIST"), room)
        return Dataset(rows=rows, labels=as_labels(given, "MNIST")[0], name="mnist")

    key = key_of("mnist", _MD5[f"{part}-images-idx3-ubyte"], [], replace(options, limit=None))
    return head(fetch(key, build, cache), options.limit)


def with_idx_size(images: NDArray[Any], options: SourceOptions) -> SourceOptions:
    """Let 28 x 28 images become 32 x 32 unless a size is asked for."""
    if options.size is None and images.shape[1:3] == (28, 28):
        return replace(options, size=32)
    return options


def head(samples: Dataset, limit: int | None) -> Dataset:
    """Return the first examples, or all."""
    if limit is None or limit >= len(samples):
        return samples
    return samples.subset(np.arange(limit))


def _unpack(name: str) -> NDArray[Any]:
    try:
        packed = resources.files("glo.data").joinpath("mnist", f"{name}.xz").read_bytes()
        data = lzma.decompress(packed)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UserError(f"The bundled {name}.xz cannot be read; install glo again.") from error
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != _MD5[name]:
        raise UserError(f"The bundled {name}.xz is not the file it should be; install glo again.")
    return read_idx(data)
