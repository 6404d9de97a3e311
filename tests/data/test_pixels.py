import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glo.data.pixels import convert_channels, resize

SIDES = st.integers(1, 40)


def noise(n, height, width, channels):
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def by_pillow(image, height, width):
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    out = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    return out.reshape(height, width, -1)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]))
def test_a_stack_is_resized_exactly_as_pillow_resizes_each(height, width, high, wide, channels):
    images = noise(3, height, width, channels)
    out = resize(images, (high, wide), "stretch")
    for image, resized in zip(images, out, strict=True):
        assert np.array_equal(resized, by_pillow(image, high, wide))


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["center", "pad", "stretch"]))
def test_any_size_fits_any_size(height, width, high, wide, crop):
    images = noise(2, height, width, 1)
    before = images.copy()
    out = resize(images, (high, wide), crop)
    assert out.shape == (2, high, wide, 1)
    assert out.dtype == np.uint8
    assert np.array_equal(images, before)


def test_center_cuts_the_longer_side():
    images = noise(1, 20, 30, 3)
    assert np.array_equal(resize(images, (20, 20)), images[:, :, 5:25])
    assert np.array_equal(
        resize(images.transpose(0, 2, 1, 3), (20, 20)).transpose(0, 2, 1, 3), images[:, :, 5:25]
    )


def test_pad_adds_black_bars():
    images = np.full((1, 10, 20, 1), 200, np.uint8)
    out = resize(images, (20, 20), "pad")[0, ..., 0]
    assert (out[:5] == 0).all()
    assert (out[15:] == 0).all()
    assert (out[5:15] == 200).all()


def test_right_size_is_no_copy():
    images = noise(2, 8, 8, 1)
    assert resize(images, (8, 8)) is images


@pytest.mark.parametrize("channels", [1, 3])
def test_recolour_is_pillows(channels):
    images = noise(2, 16, 16, 4 - channels)
    out = convert_channels(images, channels)
    mode = "L" if channels == 1 else "RGB"
    for image, changed in zip(images, out, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        expected = np.asarray(picture.convert(mode)).reshape(16, 16, channels)
        assert np.array_equal(changed, expected)
