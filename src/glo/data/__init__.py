"""From any source of examples to rows: images as bytes, vectors as floats."""

from glo.data.arrays import open_array
from glo.data.bundled import mnist
from glo.data.columns import Columns
from glo.data.idx import read_idx
from glo.data.options import SourceOptions
from glo.data.samples import Samples, to_uint8
from glo.data.sources import open_images, open_source

__all__ = [
    "Columns",
    "Samples",
    "SourceOptions",
    "mnist",
    "open_array",
    "open_images",
    "open_source",
    "read_idx",
    "to_uint8",
]
