"""Array files, damaged, with false headers, or decompression bombs: .npy, .npz and IDX."""

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np

from .damage import Maker, Random, damaged

__all__ = ["IDX", "NPY", "NPZ"]


def _npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def _headed(header: str, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode()
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text) % 2**16)
    return b"\x93NUMPY" + version + size + text + content


def _said(shape: str, descr: str = "'|u1'", content: bytes = bytes(64)) -> bytes:
    return _headed(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n", content)


def _array(random: Random) -> np.ndarray:
    shapes = [(5, 8, 8), (5, 8, 8, 3), (5, 3, 8, 8), (6, 4), (5, 8, 8, 1)]
    return random.integers(0, 256, shapes[int(random.integers(0, len(shapes)))], dtype=np.uint8)


def _one_of(*choices: Callable[[], bytes]) -> Maker:
    return lambda random: choices[int(random.integers(0, len(choices)))]()


def _claims(random: Random) -> bytes:
    digits = "9" * int(random.choice([3, 10, 18, 19, 4000, 4400]))
    shapes = [
        f"({digits},)", f"({digits}, {digits})", f"(-{digits}, -1)", f"(1, {digits}, 8)", "(0, 5)",
        "(8, -8)", "(True, 64)", "(64.0,)", "('a',)", "64", f"(0, {digits})", "(1,) * 99",
        "(" + "1, " * 99 + ")", "()", "(64,)", "(" * 3000, "[" * 90 + "]" * 90,
    ]  # fmt: skip
    return _said(shapes[int(random.integers(0, len(shapes)))])


def _dtypes(random: Random) -> bytes:
    kinds = [
        "'|O'", "'|S0'", "'<U0'", "'|V0'", "'|V8'", "'<U9'", "'<M8[ns]'", "'<c16'", "'<f2'",
        "('|u1', (2, 4))", "('|u1', (999999999, 999999999))", "'|b1'",
        "[('a', '|u1'), ('b', '|O')]",
        "'<f16'", "[('a', '|u1')] * 9", "'<i99'", "'" + "u" * 300 + "'", "None", "{}", "'>u8'",
    ]  # fmt: skip
    shape = ["(4,)", "(2, 2)", "(1, 2, 4)"][int(random.integers(0, 3))]
    return _said(shape, kinds[int(random.integers(0, len(kinds)))])


def _values(random: Random) -> bytes:
    numbers = [np.nan, np.inf, -np.inf, 1e38, -5.0, 2.0]
    array = random.random([(5, 8, 8), (5, 4)][int(random.integers(0, 2))]).astype("f8")
    array.flat[3] = numbers[int(random.integers(0, len(numbers)))]
    if random.random() < 0.3:
        array[:] = array.flat[3]
    return _npy(array.astype(["f4", "f8", "f2"][int(random.integers(0, 3))]))


NPY: dict[str, Maker] = {
    **damaged(lambda random: _npy(_array(random))),
    "whole": lambda random: _npy(_array(random)),
    "claims a shape": _claims,
    "odd dtypes": _dtypes,
    "odd values": _values,
    "pickles and code": _one_of(
        lambda: _npy(np.array([{"a": 1}, None], dtype=object), allow_pickle=True),
        lambda: _headed("__import__('os').system('true')\n"),
        lambda: _headed("{'descr': __import__('os'), 'fortran_order': 0, 'shape': ()}\n"),
        lambda: _headed("{" * 9000),
        lambda: _headed("-" * 9000 + "1"),
        lambda: _headed("{'descr': '|u1'}", version=b"\2\0"),
        lambda: _headed("{'descr': '|u1'}", version=b"\3\0"),
        lambda: _headed("{'descr': '|u1'}", version=b"\xff\xff"),
        lambda: b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(99),
    ),
}


def _zip(members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _zip_bomb(packing: int) -> Callable[[], bytes]:
    def make() -> bytes:
        file, side = io.BytesIO(), 2**15
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": "|u1", "fortran_order": False, "shape": (1, side, side)}
        )
        with (
            zipfile.ZipFile(file, "w", packing, compresslevel=1) as archive,
            archive.open("x.npy", "w") as member,
        ):
            member.write(head.getvalue())
            for _ in range(64):
                member.write(bytes(side * side // 64))
        return file.getvalue()

    return make


def _lying(random: Random) -> bytes:
    """Change a member's entry in the central directory of an archive."""
    content = bytearray(_zip({"x.npy": _npy(_array(random))}))
    entry = content.rindex(b"PK\1\2")
    # Flags, packing, checksum, length, length unpacked, place.
    place, size = [(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (42, 4)][int(random.integers(0, 6))]
    content[entry + place : entry + place + size] = random.bytes(size)
    return bytes(content)


def _lying_end(random: Random) -> bytes:
    content = bytearray(_zip({"x.npy": _npy(_array(random))}))
    end = content.rindex(b"PK\5\6") + int(random.choice([8, 10, 12, 16, 20]))
    content[end : end + 2] = b"\xff\xff"
    return bytes(content)


def _labelled(random: Random) -> bytes:
    strange = [
        np.array(["a\x1b[31m", "b", "c\nd", "", "e"]), np.array([-1, 0, 1, 2, 3]),
        np.array([1e300, 0, 1, 2, 3]), np.array([np.nan, 0, 1, 2, 3]), np.zeros((5, 5)),
        np.array([2**63 - 1, 0, 0, 0, 0]), np.array(7), np.zeros(3, int), np.zeros(5, complex),
        np.array([2**64 - 1] * 5, np.uint64),
    ]  # fmt: skip
    labels = strange[int(random.integers(0, len(strange)))]
    return _zip({"x.npy": _npy(np.zeros((5, 8, 8), np.uint8)), "y.npy": _npy(labels)})


NPZ: dict[str, Maker] = {
    **damaged(lambda random: _zip({"x.npy": _npy(_array(random))})),
    "whole": lambda random: _zip({"x.npy": _npy(_array(random))}),
    "hostile arrays inside": lambda random: _zip(
        {"x.npy": [_claims, _dtypes, _values][int(random.integers(0, 3))](random)}
    ),
    "lies about a member": _lying,
    "lies about its end": _lying_end,
    "odd labels": _labelled,
    "unpacks to much": _one_of(
        _zip_bomb(zipfile.ZIP_DEFLATED),
        _zip_bomb(zipfile.ZIP_BZIP2),
        lambda: _zip({f"{i}.npy": b"" for i in range(30_000)}, zipfile.ZIP_STORED),
        lambda: _zip({"../../x.npy": _npy(np.zeros(5)), "/x.npy": b"", "x.npy/x.npy": b""}),
        lambda: _zip({"x.npy": _zip({"x.npy": bytes(10**7)})}),
        lambda: _zip({"x.npy": b"\x93NUMPY\1\0" + bytes(10**8)}, zipfile.ZIP_LZMA),
    ),
}


def _idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def _digits(random: Random) -> bytes:
    packers: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, lzma.compress]
    content = _idx(random.integers(0, 256, (6, 28, 28), dtype=np.uint8))
    return packers[int(random.integers(0, 3))](content)


def _idx_claims(random: Random) -> bytes:
    sizes = [int(random.choice([0, 1, 2**16, 2**31, 2**32 - 1])) for _ in range(3)]
    kind, count = int(random.integers(0, 20)), int(random.choice([0, 1, 3, 4, 8, 255]))
    content = bytes([0, 0, kind, count]) + struct.pack(">3I", *sizes) + random.bytes(50)
    packers: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, lzma.compress]
    return packers[int(random.integers(0, 3))](content)


def _true_bomb(pack: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    # What it claims is there, and is all zeros.
    return lambda: pack(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**9, 2**10, 2**10) + bytes(2**29))


def _greedy_xz() -> bytes:
    """Declare a dictionary of 1.5 GiB."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**16}]
    content = bytearray(lzma.compress(_idx(np.zeros((1, 2, 2), np.uint8)), filters=filters))
    size, place = (content[12] + 1) * 4, 12
    head = content[place : place + size - 4]
    head[head.index(b"\x21\x01") + 2] = 39
    content[place : place + size] = bytes(head) + struct.pack("<I", zlib.crc32(bytes(head)))
    return bytes(content)


IDX: dict[str, Maker] = {
    **damaged(_digits),
    "whole": _digits,
    "claims a shape": _idx_claims,
    "unpacks to much": _one_of(
        _true_bomb(lambda content: gzip.compress(content, 1)),
        _true_bomb(lambda content: lzma.compress(content, preset=0)),
        lambda: gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(2**28), 1),
        _greedy_xz,
        lambda: gzip.compress(b"") * 100_000,
        lambda: gzip.compress(gzip.compress(bytes(10**6))),
        lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 10**6,
    ),
}
