import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glo.data.readers.images import decode, decode_within_limit, probe
from glo.errors import UserError

COLOR = np.random.default_rng(0).integers(0, 2**16, (5, 7, 3)).astype(np.uint16)
TAGS = {"width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262}
TAGS |= {"offset": 273, "samples": 277, "rows": 278, "size": 279, "planar": 284}
TAGS |= {"extra": 338, "format": 339}


def write_tiff(path: Path, values, photometric, *, order="<", extra=None, planar=1, deflate=False):
    """Write (H, W) or (H, W, C) of any dtype as one strip."""
    height, width = values.shape[:2]
    samples = values.size // (height * width)
    data = (values.transpose(2, 0, 1) if planar == 2 else values).astype(
        values.dtype.newbyteorder(order)
    )
    data = zlib.compress(data.tobytes()) if deflate else data.tobytes()
    bits, form = values.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = {"width": [width], "height": [height], "bits": [bits] * samples, "rows": [height]}
    tags |= {"compression": [8 if deflate else 1], "photometric": [photometric]}
    tags |= {"samples": [samples], "size": [len(data)], "planar": [planar]}
    tags |= {"format": [form] * samples, "offset": [0], **({"extra": [extra]} if extra else {})}
    start = 8 + 2 + 12 * len(tags) + 4
    table, blob = b"", b""
    for name in sorted(tags, key=TAGS.__getitem__):
        packed = struct.pack(f"{order}{len(tags[name])}H", *tags[name])
        if name == "offset":
            packed = struct.pack(f"{order}H", start + 64)
        if len(packed) > 4:
            table += struct.pack(f"{order}HHII", TAGS[name], 3, len(tags[name]), start + len(blob))
            blob += packed
        else:
            table += struct.pack(f"{order}HHI", TAGS[name], 3, len(tags[name]))
            table += packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    head += struct.pack(f"{order}H", len(tags)) + table + bytes(4) + blob.ljust(64, b"\0")
    path.write_bytes(head + data)
    return path


def write_png(path: Path, values, color_type, *chunks):
    """Write uint16 (H, W) or (H, W, C)."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = values.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(*each) for each in chunks)]
    parts += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def read(path):
    with decode_within_limit(path) as decoded:
        return decoded


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_color_tiff_is_exact(tmp_path, order, deflate):
    path = write_tiff(tmp_path / "a.tif", COLOR, 2, order=order, deflate=deflate)
    decoded = read(path)
    assert decoded.facts.kind == "uint16"
    assert np.array_equal(decoded.pixels, COLOR)
    assert probe(path, measure=True).high == COLOR.max()


def test_16_bit_color_png_is_exact_and_turned_upright(tmp_path):
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    assert np.array_equal(read(write_png(tmp_path / "a.png", COLOR, 2)).pixels, COLOR)
    turned = read(write_png(tmp_path / "b.png", COLOR, 2, (b"eXIf", exif)))
    assert np.array_equal(turned.pixels, np.rot90(COLOR, -1))


def test_12_bits_in_16_bit_color_are_not_black(tmp_path):
    path = write_png(tmp_path / "a.png", COLOR // 16, 2)
    with decode_within_limit(path) as decoded:
        expected = np.rint((COLOR // 16) * (255 / 4095)).astype(np.uint8)
        assert np.array_equal(decoded.to_uint8(0, 4095), expected)


def test_planes_of_16_bits_are_refused(tmp_path):
    with pytest.raises(UserError, match="planes"):
        decode(write_tiff(tmp_path / "a.tif", COLOR, 2, planar=2))


def test_16_bit_alpha_is_laid_on_white(tmp_path):
    gray = np.array([[[4000, 65535], [0, 0], [0, 32768]]], np.uint16)
    path = write_png(tmp_path / "a.png", gray, 4)
    assert not probe(path).is_color
    assert decode(path).ravel().tolist() == [16, 255, 127]
    rgba = np.array([[[65535, 0, 0, 65535], [65535, 0, 0, 0]]], np.uint16)
    for path in (
        write_png(tmp_path / "b.png", rgba, 6),
        write_tiff(tmp_path / "b.tif", rgba, 2, extra=2),
    ):
        assert decode(path).tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_premultiplied_alpha(tmp_path, dtype):
    full = int(np.iinfo(dtype).max)
    rgba = np.array([[[full // 2, 0, 0, full // 2], [0, 0, 0, 0]]], dtype)
    path = write_tiff(tmp_path / "a.tif", rgba, 2, extra=1)
    assert np.abs(decode(path).astype(int) - [[[255, 128, 128], [255] * 3]]).max() <= 1
    if dtype == np.uint8:
        gray = np.array([[[100, 128], [0, 0]]], np.uint8)
        path = write_tiff(tmp_path / "b.tif", gray, 1, extra=1)
        assert decode(path).ravel().tolist() == [227, 255]


def test_transparent_level_of_16_bits(tmp_path):
    path = write_png(
        tmp_path / "a.png", np.array([[0, 10, 65535]], np.uint16), 0, (b"tRNS", b"\0\n")
    )
    assert decode(path).ravel().tolist() == [0, 255, 255]
    path = write_png(tmp_path / "b.png", np.zeros((1, 1, 3), np.uint16), 2, (b"tRNS", bytes(6)))
    assert decode(path).ravel().tolist() == [255] * 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_white_may_be_the_smallest_value(tmp_path, dtype):
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    values = np.array([[0, white]], dtype)
    assert decode(write_tiff(tmp_path / "a.tif", values, 0)).ravel().tolist() == [255, 0]
    assert decode(write_tiff(tmp_path / "b.tif", values, 1)).ravel().tolist() == [0, 255]


def test_bilevel_tiff(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.tif")
    assert decode(tmp_path / "a.tif").ravel().tolist() == [255, 0]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [(np.int8, [-5, 100]), (np.int16, [-1024, 3071]), (np.uint32, [0, 2**32 - 1])],
)
def test_integers_keep_their_values(tmp_path, dtype, values):
    path = write_tiff(tmp_path / "a.tif", np.array([values], dtype), 1)
    decoded = read(path)
    assert (decoded.facts.kind, decoded.facts.low, decoded.facts.high) == ("integer", *values)
    assert decoded.to_uint8(values[0], values[1]).ravel().tolist() == [0, 255]
    with (
        pytest.raises(UserError, match=str(values[0]))
        if min(values) < 0
        else pytest.raises(UserError)
    ):
        decode(path)


def test_a_declared_range_is_used(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 2 1 4095\n" + np.array([0, 1000], ">u2").tobytes())
    assert probe(path, measure=True).high == 65535
    assert decode(path).ravel().tolist() == [0, 62]
