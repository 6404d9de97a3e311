import gzip
import lzma
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glo.data import read_idx
from glo.errors import UserError

ARRAYS = hnp.arrays(
    st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]), hnp.array_shapes(max_dims=4, max_side=4)
)
COMPRESSORS = [bytes, gzip.compress, lzma.compress]


@given(ARRAYS, st.sampled_from(COMPRESSORS))
def test_any_array(idx_bytes, array, compress):
    again = read_idx(compress(idx_bytes(array)))
    assert again.dtype.newbyteorder("=") == array.dtype
    assert np.array_equal(again, array, equal_nan=array.dtype.kind == "f")
    assert not again.flags.writeable


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_files_of_any_name(tmp_path, idx_bytes, digits, compress):
    path = tmp_path / "any.name"
    path.write_bytes(compress(idx_bytes(digits)))
    assert np.array_equal(read_idx(path), digits)


@pytest.mark.parametrize("compress", COMPRESSORS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"P5 28 28 255 ....",
        b"\0\0\x07\x01" + struct.pack(">I", 1) + b"x",
        b"\0\0\x08\0x",
        b"\0\0\x08\xff" + b"\xff" * 2000,
        b"\0\0\x08\x03\0\0\0\x01",
        b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"few",
        b"\0\0\x08\x01" + struct.pack(">I", 2**31) + b"few",
        b"\0\0\x08\x01" + struct.pack(">I", 3) + b"ab",
        b"\0\0\x08\x01" + struct.pack(">I", 3) + b"abcd",
        b"\0\0\x08\x02" + struct.pack(">2I", 0, 3),
    ],
)
def test_damaged_files(tmp_path, compress, content):
    path = tmp_path / "bad"
    path.write_bytes(compress(content))
    with pytest.raises(UserError, match="bad"):
        read_idx(path)
    with pytest.raises(UserError, match="IDX"):
        read_idx(compress(content))


@pytest.mark.parametrize("compress", COMPRESSORS[1:])
@pytest.mark.parametrize("cut", [7, 20, -5, -1])
def test_compressed_files_cut_off(tmp_path, idx_bytes, digits, compress, cut):
    (tmp_path / "bad").write_bytes(compress(idx_bytes(digits))[:cut])
    with pytest.raises(UserError, match="bad"):
        read_idx(tmp_path / "bad")


def test_no_more_is_unpacked_than_the_header_claims(tmp_path):
    claim = b"\0\0\x08\x01" + struct.pack(">I", 10)
    with pytest.raises(UserError, match="10 bytes"):
        read_idx(gzip.compress(claim + bytes(50_000_000)))
    with pytest.raises(UserError, match="none"):
        read_idx(tmp_path / "none")
