"""Every test has a cache folder of its own; small IDX bytes are made here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GLO_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def idx_bytes() -> Callable[[NDArray], bytes]:
    def pack(array: NDArray) -> bytes:
        head = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim])
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()

    return pack


@pytest.fixture
def digits() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
