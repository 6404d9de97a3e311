"""Random draws that are a function of a seed and a row number, whatever the batch size.

NumPy's Philox is a counter-based generator: jumping to a row costs nothing, so sample j of seed s
can be drawn alone, in any batch and in any order, and is always the same.
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

# One Philox step makes four 64-bit words; Box-Muller turns two words into two normals. Each row
# owns a whole number of steps, so rows never share a word.
_WORDS = 4

# Neighbours that `permutation_within` keeps near each other: of rows of a few hundred bytes or
# more, enough for a disk to read them at its full speed.
_NEIGHBOURS = 1024


def normal(seed: int, start: int, n: int, dim: int, *, stream: Stream, every: int = 1) -> Tensor:
    """Draw `n` standard normal rows, numbers `start`, `start + every`, ... of `seed`.

    Args:
        seed: any integer; its 64 low bits are used.
        start: number of the first row.
        n: how many rows.
        dim: D, the length of a row.
        stream: what the numbers are for; no two streams of a seed share a number.
        every: how far one row is from the next; those between are drawn and dropped.

    Returns:
        float32 (n, D).

    Example:
        >>> whole = normal(7, 0, 5, 3, stream="samples")
        >>> torch.equal(whole[2:4], normal(7, 2, 2, 3, stream="samples"))
        True
    """
    if every > 1:
        return normal(seed, start, (n - 1) * every + 1 if n else 0, dim, stream=stream)[::every]
    steps = -(-dim // _WORDS)
    generator = np.random.Philox(key=_key(seed, _STREAMS[stream])).advance(start * steps)
    words = generator.random_raw(n * steps * _WORDS).reshape(n, 2, steps * _WORDS // 2)
    # 53 bits to (0, 1]: the logarithm below must not see zero.
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(uniform[:, 0]))
    angle = 2.0 * np.pi * uniform[:, 1]
    rows = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return torch.from_numpy(rows[:, :dim].astype(np.float32))


def permutation(n: int, seed: int, epoch: int, part: int = 0) -> Tensor:
    """Order the rows 0 to n - 1 of one epoch, a function of the seed, the epoch and the part alone.

    Args:
        n: how many rows.
        seed: any integer.
        epoch: number of the pass.
        part: which of several sets of rows, each with an order of its own.

    Returns:
        int64 (n,).

    Example:
        >>> torch.equal(permutation(9, 0, 1), permutation(9, 0, 1))
        True
    """
    return torch.from_numpy(_of_epoch(seed, epoch, part).permutation(n))


def permutation_within(n: int, seed: int, epoch: int, part: int = 0, *, within: int) -> Tensor:
    """Order the rows of one epoch so that a stretch of the order needs few places of a file.

    Runs of 1,024 neighbours are put in a random order, and then the rows of each `within` that
    follow each other.

    Args:
        n: how many rows.
        seed: any integer.
        epoch: number of the pass.
        part: as for `permutation`.
        within: rows that are mixed with each other.

    Returns:
        int64 (n,).

    Example:
        >>> order = permutation_within(5000, 0, 1, within=2048)
        >>> torch.equal(order.sort().values, torch.arange(5000))
        True
        >>> len(torch.unique(order[:2048] // 1024))
        2
    """
    random = _of_epoch(seed, epoch, part)
    runs = torch.from_numpy(random.permutation(-(-n // _NEIGHBOURS)))
    order = (runs[:, None] * _NEIGHBOURS + torch.arange(_NEIGHBOURS)).flatten()
    rows: NDArray[np.int64] = order[order < n].numpy()
    for first in range(0, n, within):
        random.shuffle(rows[first : first + within])
    return torch.from_numpy(rows)


def _of_epoch(seed: int, epoch: int, part: int) -> np.random.Generator:
    key = _key(seed, _FIRST_EPOCH + epoch)
    # The top word of the counter: one part would have to use up 2^192 numbers to meet the next.
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, part]))


def _key(seed: int, stream: int) -> NDArray[np.uint64]:
    # As a plain list, a seed beyond 63 bits would go through float64 and lose its low digits.
    return np.array([seed % 2**64, stream], dtype=np.uint64)
