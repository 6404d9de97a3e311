"""Decoding of many image files in parallel into rows of one shape."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from glo.data.options import SourceOptions
from glo.data.pixels import convert_channels, resize
from glo.data.readers.images import Probe, decode_within_limit, image_suffixes, probe
from glo.data.storage import RowWriter, check_space
from glo.errors import UserError

__all__ = ["common_size", "decode_files"]

_COLOR_PROBES = 64
_MIN_SIDE, _MAX_SIDE = 8, 128

T = TypeVar("T")
_File = Path | BinaryIO


def decode_files(
    files: Callable[[], Iterable[_File]],
    n: int,
    options: SourceOptions,
    folder: Path | None,
    on_error: Callable[[int, str], None],
) -> tuple[NDArray[np.uint8] | None, list[int]]:
    """Decode image files in parallel and fit them to one shape.

    Args:
        files: function that iterates over the `n` files from the first one.
        n: number of files.
        options: options of the source; `limit` counts readable files.
        folder: folder that the rows are written to, or None for memory.
        on_error: called with the number of a file that cannot be decoded and the reason.

    Returns:
        uint8 rows (n_read, H, W, C), or None if no file could be decoded; and their file numbers.
    """
    image_suffixes()  # loads pillow's plugins, which is not thread-safe
    with warnings.catch_warnings(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        # Pillow warns of odd metadata; errors are reported by `on_error`.
        warnings.simplefilter("ignore")
        (height, width), channels = _common_shape(files, options, pool)

        def load(file: _File) -> NDArray[np.uint8]:
            with decode_within_limit(file) as pixels:
                image = convert_channels(pixels[None], channels)
                return resize(image, (height, width), options.crop)

        max_rows = min(n, options.limit or n)
        shape = (height, width, channels)
        check_space(folder, max_rows * height * width * channels)
        numbers: list[int] = []
        with RowWriter(folder, shape, np.uint8, max_rows=max_rows) as writer:
            for number, result in enumerate(_map_in_order(pool, load, files())):
                if isinstance(result, str):
                    on_error(number, result)
                    continue
                writer.append(result)
                numbers.append(number)
                if len(numbers) == max_rows:
                    break
            return (writer.finish() if numbers else None), numbers


def common_size(probes: list[Probe]) -> tuple[int, int]:
    """Return the size of equally large images, or a power of two near the median short side."""
    sizes = {(each.height, each.width) for each in probes}
    if len(sizes) == 1:
        return sizes.pop()
    short = median(min(each.height, each.width) for each in probes) if probes else _MIN_SIDE
    side = 1 << (int(short).bit_length() - 1)
    return (min(max(side, _MIN_SIDE), _MAX_SIDE),) * 2


def _common_shape(
    files: Callable[[], Iterable[_File]], options: SourceOptions, pool: ThreadPoolExecutor
) -> tuple[tuple[int, int], int]:
    size = None if options.size is None else (options.size, options.size)
    if size is not None and options.channels is not None:
        return size, options.channels
    n_probes = options.limit if size is None else _COLOR_PROBES
    results = _map_in_order(pool, probe, islice(files(), n_probes))
    probes = [result for result in results if isinstance(result, Probe)]
    is_color = any(each.is_color for each in probes[:_COLOR_PROBES])
    return size or common_size(probes), options.channels or (3 if is_color else 1)


def _map_in_order(
    pool: ThreadPoolExecutor, function: Callable[[_File], T], files: Iterable[_File]
) -> Iterator[T | str]:
    """Yield results in the order of the files; a UserError becomes its message."""

    def call(file: _File) -> T | str:
        try:
            return function(file)
        except UserError as error:
            return str(error)

    # Unlike pool.map this limits the pending results, so memory does not grow with the folder.
    remaining = iter(files)
    pending: deque[Future[T | str]] = deque()
    for file in islice(remaining, 4 * (os.cpu_count() or 1)):
        pending.append(pool.submit(call, file))
    while pending:
        result = pending.popleft().result()
        for file in islice(remaining, 1):
            pending.append(pool.submit(call, file))
        yield result
