import gzip
import io
import lzma
import struct
import zlib

import pytest

from glo.data import read_idx
from glo.data.readers.compressed import GZIP, XZ, decompress
from glo.errors import UserError

COMPRESSORS = [(gzip.compress, GZIP), (lzma.compress, XZ)]


@pytest.mark.parametrize(("compress", "magic"), COMPRESSORS)
@pytest.mark.parametrize("size", [0, 1, 2**20 + 1, 3 * 2**20])
def test_pieces(compress, magic, size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    packed = compress(content[: size // 2]) + compress(content[size // 2 :]) + bytes(8)
    pieces = list(decompress(io.BytesIO(packed), magic))
    assert b"".join(pieces) == content
    assert all(0 < len(piece) <= 2**20 for piece in pieces)


@pytest.mark.parametrize(("compress", "magic"), COMPRESSORS)
def test_damage(compress, magic):
    packed = bytearray(compress(bytes(1000)))
    with pytest.raises(EOFError):
        list(decompress(io.BytesIO(packed[:-9]), magic))
    packed[-9] ^= 1
    with pytest.raises((zlib.error, lzma.LZMAError)):
        list(decompress(io.BytesIO(packed), magic))
    with pytest.raises(OSError, match="parts"):
        list(decompress(io.BytesIO(compress(b"") * 2000), magic))


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
@pytest.mark.parametrize("sides", [(300, 1000, 1000), (5000, 1000, 1000)])
def test_an_implausible_size_is_refused(tmp_path, compress, sides):
    path = tmp_path / "a-images-idx3-ubyte"
    path.write_bytes(compress(b"\0\0\x08\x03" + struct.pack(">3I", *sides) + bytes(10)))
    with pytest.raises(UserError, match="unpacks to"):
        read_idx(path)
