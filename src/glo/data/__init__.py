"""Datasets of examples from any source: images as uint8, vectors as float32."""

from glo.data.dataset import Dataset, to_uint8
from glo.data.options import SourceOptions
from glo.data.readers.arrays import open_array
from glo.data.readers.idx import read_idx
from glo.data.readers.mnist import mnist
from glo.data.sources import open_images, open_source
from glo.data.standardizer import Standardizer

__all__ = [
    "Dataset",
    "SourceOptions",
    "Standardizer",
    "mnist",
    "open_array",
    "open_images",
    "open_source",
    "read_idx",
    "to_uint8",
]
