"""Counter-based random numbers: functions of a seed and a row number, whatever the batch size.

NumPy's Philox jumps to any row at no cost, so sample j of a seed is the same in any batch.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Stream", "normal", "permutation", "permutation_within"]

Stream = Literal["codes", "samples"]
_STREAMS: dict[Stream, int] = {"codes": 1, "samples": 2}
_FIRST_EPOCH = 2**32

# Each row uses whole Philox steps of four 64-bit words, so rows never share a word; Box-Muller
# turns two words into two normals.
_WORDS = 4

# Neighbouring rows that `permutation_within` keeps together: rows of a few hundred bytes or more
# are then read at a disk's full speed.
_NEIGHBOURS = 1024


def normal(seed: int, start: int, n: int, dim: int, *, stream: Stream, every: int = 1) -> Tensor:
    """Draw standard normal rows, numbers `start`, `start + every`, ... of a seed, float32 (n, dim).

    No two streams of a seed share a number; of the seed the 64 low bits are used.
    """
    if every > 1:
        return normal(seed, start, (n - 1) * every + 1 if n else 0, dim, stream=stream)[::every]
    steps = -(-dim // _WORDS)
    generator = np.random.Philox(key=_key(seed, _STREAMS[stream])).advance(start * steps)
    words = generator.random_raw(n * steps * _WORDS).reshape(n, 2, steps * _WORDS // 2)
    # 53 bits to (0, 1]: the logarithm of zero is infinite.
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(uniform[:, 0]))
    angle = 2.0 * np.pi * uniform[:, 1]
    rows = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return torch.from_numpy(rows[:, :dim].astype(np.float32))


def permutation(n: int, seed: int, epoch: int, part: int = 0) -> Tensor:
    """Return a random order of n rows, int64 (n,), a function of seed, epoch and part alone."""
    return torch.from_numpy(_epoch_generator(seed, epoch, part).permutation(n))


def permutation_within(n: int, seed: int, epoch: int, part: int = 0, *, within: int) -> Tensor:
    """Return a random order, int64 (n,), whose stretches need few places of a file.

    Runs of 1,024 neighbours are shuffled, and then the rows of each `within` consecutive ones.
    """
    random = _epoch_generator(seed, epoch, part)
    runs = torch.from_numpy(random.permutation(-(-n // _NEIGHBOURS)))
    order = (runs[:, None] * _NEIGHBOURS + torch.arange(_NEIGHBOURS)).flatten()
    rows: NDArray[np.int64] = order[order < n].numpy()
    for first in range(0, n, within):
        random.shuffle(rows[first : first + within])
    return torch.from_numpy(rows)


def _epoch_generator(seed: int, epoch: int, part: int) -> np.random.Generator:
    key = _key(seed, _FIRST_EPOCH + epoch)
    # The counter's top word: parts overlap after 2^192 numbers.
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, part]))


def _key(seed: int, stream: int) -> NDArray[np.uint64]:
    # NumPy would convert a list with a seed beyond 63 bits by way of float64.
    return np.array([seed % 2**64, stream], dtype=np.uint64)
