import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from glo.data.readers.images import decode, decode_within_limit

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# A profile of another color space: red and green change places.
SWAPPED = SRGB.replace(b"rXYZ", b"----", 1).replace(b"gXYZ", b"rXYZ", 1)
SWAPPED = SWAPPED.replace(b"----", b"gXYZ", 1)


def linear_gray():
    white = struct.pack(">4s4x3i", b"XYZ ", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    curve = struct.pack(">4s4xI", b"curv", 0)
    table = struct.pack(">I", 2)
    table += struct.pack(">4sII", b"wtpt", 156, len(white))
    table += struct.pack(">4sII", b"kTRC", 156 + len(white), len(curve))
    body = table + white + curve
    head = struct.pack(
        ">I4xI4s4s4s12x4s", 128 + len(body), 0x2400000, b"mntr", b"GRAY", b"XYZ ", b"acsp"
    )
    head = head.ljust(68, b"\0") + white[8:]
    return head.ljust(128, b"\0") + body


def profile_of(path):
    with decode_within_limit(path) as decoded:
        return decoded.facts.profile


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_colors_of_another_space_become_srgb(tmp_path, name):
    path = tmp_path / name
    options = {"lossless": True} if name == "a.webp" else {}
    Image.new("RGB", (4, 4), (255, 0, 0)).save(path, icc_profile=SWAPPED, **options)
    assert np.abs(decode(path).astype(int) - [0, 255, 0]).max() <= 1
    assert profile_of(path) == "converted"


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_other_modes(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode).save(path, icc_profile=SWAPPED)
    assert np.abs(decode(path).astype(int) - [0, 255, 0]).max() <= 1


def test_srgb_is_left_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=SRGB)
    assert np.array_equal(decode(tmp_path / "a.png"), pixels)
    assert profile_of(tmp_path / "a.png") == ""


def test_gray_profiles(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (2, 2), 128).save(path, icc_profile=linear_gray())
    assert np.abs(decode(path).astype(int) - 188).max() <= 1
    Image.fromarray(np.full((2, 2), 32896, np.uint16)).save(path, icc_profile=linear_gray())
    assert np.abs(decode(path).astype(int) - 188).max() <= 1
    # Neutral gray is the same in both color spaces.
    Image.new("L", (2, 2), 128).save(path, icc_profile=SWAPPED)
    assert decode(path).shape == (2, 2, 1)


@pytest.mark.parametrize("profile", [b"nothing", SWAPPED[:200], SRGB[:16] + b"CMYK" + SRGB[20:]])
def test_a_profile_that_is_damaged_or_does_not_fit_is_ignored(tmp_path, profile):
    Image.new("RGB", (2, 2), (9, 8, 7)).save(tmp_path / "a.png", icc_profile=profile)
    assert decode(tmp_path / "a.png")[0, 0].tolist() == [9, 8, 7]
    assert profile_of(tmp_path / "a.png") == "broken"
    Image.new("RGB", (2, 2), (9, 8, 7)).save(tmp_path / "b.png", icc_profile=linear_gray())
    assert profile_of(tmp_path / "b.png") == "broken"


def test_lab(tmp_path):
    red = Image.new("LAB", (2, 2), (136, 208, 195))  # sRGB red
    red.save(tmp_path / "a.tif")
    assert np.abs(decode(tmp_path / "a.tif").astype(int) - [255, 0, 0]).max() < 16
