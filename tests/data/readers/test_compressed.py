import gzip
import io
import lzma
import struct
import zlib

import pytest

from glo.data import read_idx
from glo.data.readers.compressed import GZIP, XZ, decompress
from glo.errors import UserError

PACKERS = [(gzip.compress, GZIP), (lzma.compress, XZ)]


@pytest.mark.parametrize(("pack", "magic"), PACKERS)
@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_it_is_unpacked_in_pieces(pack, magic, size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    packed = pack(content[: size // 2]) + pack(content[size // 2 :]) + bytes(8)
    found = list(decompress(io.BytesIO(packed), magic))
    assert b"".join(found) == content
    assert all(0 < len(piece) <= 2**20 for piece in found)


@pytest.mark.parametrize(("pack", "magic"), PACKERS)
def test_it_is_cut_off_or_damaged(pack, magic):
    packed = bytearray(pack(bytes(1000)))
    with pytest.raises(EOFError, match="cut off"):
        list(decompress(io.BytesIO(packed[:-9]), magic))
    packed[-9] ^= 1
    with pytest.raises((zlib.error, lzma.LZMAError)):
        list(decompress(io.BytesIO(packed), magic))


@pytest.mark.parametrize(("pack", "magic"), PACKERS)
def test_many_empty_parts_are_refused(pack, magic):
    with pytest.raises(OSError, match="more than 1000 parts"):
        list(decompress(io.BytesIO(pack(b"") * 2000), magic))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_far_more_than_its_length_is_refused_unread(tmp_path, pack):
    path = tmp_path / "a-images-idx3-ubyte"
    path.write_bytes(pack(b"\0\0\x08\x03" + struct.pack(">3I", 300, 1000, 1000) + bytes(10)))
    with pytest.raises(UserError, match="times its length; unpack it first"):
        read_idx(path)
