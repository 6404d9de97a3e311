import contextlib
import errno
import os
import struct
import threading
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from glo.data.readers.images import ImageFacts, WeightedSemaphore, decode, image_suffixes, probe
from glo.errors import UserError

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(tmp_path, image, name="a.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.gif", "a.ppm", "a.tga"])
def test_lossless_formats(tmp_path, name):
    assert np.array_equal(decode(save(tmp_path, Image.fromarray(GRAY), name))[..., 0], GRAY)
    if name != "a.gif":
        assert np.array_equal(decode(save(tmp_path, Image.fromarray(COLOR), name)), COLOR)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3), ("I;16", 1)],
)
def test_modes_and_probes(tmp_path, mode, channels):
    if mode == "I;16":
        image = Image.fromarray(GRAY.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(COLOR).convert(mode)
    path = save(tmp_path, image)
    pixels = decode(path)
    assert probe(path) == ImageFacts(6, 9, channels == 3, "uint16" if mode == "I;16" else "uint8")
    assert pixels.shape == (6, 9, channels)
    assert pixels.dtype == np.uint8


def test_16_bit_gray_keeps_its_levels(tmp_path):
    deep = np.array([[0, 257, 65535, 32768]], np.uint16)
    for name in ("a.png", "a.tif"):
        path = save(tmp_path, Image.fromarray(deep), name)
        assert decode(path).ravel().tolist() == [0, 1, 255, 128]


@pytest.mark.parametrize("bad", [-1, 70000])
def test_32_bit_values_out_of_range(tmp_path, bad):
    path = save(tmp_path, Image.fromarray(np.array([[0, bad]], np.int32)), "a.tif")
    with pytest.raises(UserError, match="gray values from"):
        decode(path)


def test_float_gray(tmp_path):
    path = save(tmp_path, Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "a.tif")
    assert decode(path).ravel().tolist() == [0, 128, 255]
    path = save(tmp_path, Image.fromarray(np.array([[0, np.nan]], np.float32)), "b.tif")
    with pytest.raises(UserError, match="gray values"):
        decode(path)


def test_transparency_is_laid_on_white(tmp_path):
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    clear.putpixel((0, 0), (0, 0, 0, 255))
    assert decode(save(tmp_path, clear)).sum(axis=2).ravel().tolist() == [0, 765, 765, 765]
    half = Image.new("LA", (2, 2), (0, 128))
    assert decode(save(tmp_path, half)).ravel().tolist() == [127] * 4
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([0, 0, 0, 250, 0, 0])
    palette.putpixel((0, 0), 1)
    path = save(tmp_path, palette, transparency=0)
    assert decode(path).tolist() == [[[250, 0, 0], [255] * 3], [[255] * 3, [255] * 3]]


@pytest.mark.parametrize(("mode", "color"), [("RGBA", (9, 8, 7, 0)), ("LA", (9, 0))])
def test_an_alpha_channel_of_0_everywhere_is_ignored(tmp_path, mode, color):
    assert (
        decode(save(tmp_path, Image.new(mode, (2, 2), color))).tolist() == [[[*color[:-1]]] * 2] * 2
    )


def test_cmyk(tmp_path):
    path = save(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", quality=100)
    assert np.abs(decode(path).astype(int) - [255, 0, 0]).max() < 8


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.tif", "a.webp"])
def test_animation_gives_the_first_frame(tmp_path, name):
    if name == "a.webp" and not features.check("webp"):
        pytest.skip("pillow was built without WebP")
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    options = {"lossless": True} if name == "a.webp" else {}
    path = save(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert (decode(path) == 10).all()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path, name, orientation):
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, Image.fromarray(pixels), name, exif=exif)
    upright = decode(path)[..., 0] > 128
    stored = pixels > 128
    expected = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored, 1),
    }[orientation]
    assert np.array_equal(upright, expected)
    assert (probe(path).height, probe(path).width) == expected.shape


def test_broken_exif_is_no_harm(tmp_path):
    path = save(tmp_path, Image.fromarray(GRAY), "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert decode(path).shape == (6, 9, 1)


def png_chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def test_bomb(tmp_path):
    for side, mark in ((10_000, 1), (100_000, 2)):
        head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        path = tmp_path / f"{mark}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(bytes(9))))
        for read in (probe, decode):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with pytest.raises(UserError, match="pixels"):
                    read(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.tif", "a.bmp"])
def test_cut_off_anywhere(tmp_path, name):
    whole = save(tmp_path, Image.fromarray(COLOR), name).read_bytes()
    path = tmp_path / name
    for cut in range(0, len(whole) - 40, 7):
        path.write_bytes(whole[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(UserError):
                decode(path)


def test_reasons(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"this is no image")
    with pytest.raises(UserError, match="not an image"):
        probe(path)
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = save(tmp_path, Image.fromarray(noise)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"^truncated$"):
        decode(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match="not a plain file"):
        decode(tmp_path / "a.png")


def test_formats_that_start_programs_are_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(UserError, match="not an image"):
        decode(path)
    assert not {".eps", ".ps", ".wmf", ".h5"} & image_suffixes()


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = save(tmp_path, Image.fromarray(GRAY))
    monkeypatch.setattr("glo.data.readers.images.open_plain", refused)
    for read in (probe, decode):
        with pytest.raises(UserError, match=r"^cannot be read: permission denied$"):
            read(path)


def test_semaphore_limits_the_sum():
    semaphore, sums = WeightedSemaphore(10), []

    def work():
        with semaphore.acquire(4):
            sums.append(semaphore.in_use)
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(sums) == 8
    with contextlib.suppress(ZeroDivisionError), semaphore.acquire(99):
        assert semaphore.in_use == 99
        raise ZeroDivisionError
    assert semaphore.in_use == 0


def test_heic(tmp_path):
    pytest.importorskip("pillow_heif")
    assert {".heic", ".heif"} <= image_suffixes()
    gradient = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None]
    pixels = np.broadcast_to(gradient, (48, 64, 3)).copy()
    path = save(tmp_path, Image.fromarray(pixels), "a.heic", quality=100)
    assert np.abs(decode(path).astype(int) - pixels).max() < 16
    assert (probe(path).height, probe(path).width) == (48, 64)
    path.write_bytes(path.read_bytes()[:-200])
    with contextlib.suppress(UserError):
        decode(path)


def test_avif(tmp_path):
    if not features.check("avif"):
        pytest.skip("pillow was built without AVIF")
    pixels = np.full((48, 64, 3), 77, np.uint8)
    path = save(tmp_path, Image.fromarray(pixels), "a.avif")
    assert np.abs(decode(path).astype(int) - pixels).max() < 8
