"""Random draws that are a function of a seed and a row number, whatever the batch size.

NumPy's Philox is a counter-based generator: jumping to a row costs nothing, so sample j of seed s
can be drawn alone, in any batch and in any order, and is always the same.
"""

import numpy as np
import torch
from torch import Tensor

__all__ = ["normal", "permutation"]

# One Philox step makes four 64-bit words; Box-Muller turns two words into two normals. Each row
# owns a whole number of steps, so rows never share a word.
_WORDS = 4


def normal(seed: int, start: int, n: int, dim: int) -> Tensor:
    """Draw `n` standard normal rows, numbers `start` to `start + n - 1` of `seed`.

    Args:
        seed: any integer; its 64 low bits are used.
        start: number of the first row.
        n: how many rows.
        dim: D, the length of a row.

    Returns:
        float32 (n, D).

    Example:
        >>> whole = normal(7, 0, 5, 3)
        >>> torch.equal(whole[2:4], normal(7, 2, 2, 3))
        True
    """
    steps = -(-dim // _WORDS)
    generator = np.random.Philox(key=seed % 2**64).advance(start * steps)
    words = generator.random_raw(n * steps * _WORDS).reshape(n, 2, -1)
    # 53 bits to (0, 1]: the logarithm below must not see zero.
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(uniform[:, 0]))
    angle = 2.0 * np.pi * uniform[:, 1]
    rows = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return torch.from_numpy(rows[:, :dim].astype(np.float32))


def permutation(n: int, seed: int, epoch: int) -> Tensor:
    """Order the rows 0 to n - 1 of one epoch, a function of (seed, epoch) alone.

    Returns:
        int64 (n,).

    Example:
        >>> torch.equal(permutation(9, 0, 1), permutation(9, 0, 1))
        True
    """
    generator = np.random.Generator(np.random.Philox(key=[seed % 2**64, epoch]))
    return torch.from_numpy(generator.permutation(n))
