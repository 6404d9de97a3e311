"""What can happen to any file, whatever is in it."""

from collections.abc import Callable

import numpy as np

__all__ = ["DAMAGE", "Maker", "damaged"]

Random = np.random.Generator
Maker = Callable[[Random], bytes]


def _cut(content: bytes, random: Random) -> bytes:
    return content[: int(random.integers(0, max(1, len(content))))]


def _flipped(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    # Most of what a reader decides lies at the beginning.
    for _ in range(int(random.integers(1, 9))):
        reach = 64 if random.random() < 0.5 else len(changed)
        changed[int(random.integers(0, min(reach, len(changed))))] ^= 1 << int(
            random.integers(0, 8)
        )
    return bytes(changed)


def _overwritten(content: bytes, random: Random) -> bytes:
    place, length = (int(random.integers(0, len(content))) for _ in range(2))
    noise = random.bytes(min(length, 64))
    return content[:place] + noise + content[place + len(noise) :]


def _extreme(content: bytes, random: Random) -> bytes:
    """Put the largest or smallest number where a length may be."""
    number = [b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\0" * 4, b"\xff\xff\xff\x7f"]
    place = int(random.integers(0, min(len(content), 128)))
    return content[:place] + number[int(random.integers(0, 4))] + content[place + 4 :]


def _swollen(content: bytes, random: Random) -> bytes:
    return content + random.bytes(int(random.integers(1, 5000)))


def _emptied(content: bytes, random: Random) -> bytes:
    return [b"", b"\0", b"\n", bytes(4096)][int(random.integers(0, 4))]


def _noise(content: bytes, random: Random) -> bytes:
    return random.bytes(int(random.integers(1, 3000)))


DAMAGE: dict[str, Callable[[bytes, Random], bytes]] = {
    "cut off": _cut,
    "bits flipped": _flipped,
    "overwritten": _overwritten,
    "extreme numbers": _extreme,
    "swollen": _swollen,
    "empty": _emptied,
    "noise": _noise,
}


def damaged(whole: Maker) -> dict[str, Maker]:
    """Return families of damage to files that `whole` makes."""
    return {
        name: lambda random, harm=harm: harm(whole(random), random)  # type: ignore[misc]
        for name, harm in DAMAGE.items()
    }
