"""Grids: every picture at its place, files whole."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from glo.imaging.grids import grid, pairs, save_picture


def shades(n: int, side: int = 64, channels: int = 1) -> torch.Tensor:
    """Flat images, image k of the grey 10 k."""
    values = torch.arange(n).view(-1, 1, 1, 1) * 10 / 127.5 - 1
    return values.expand(n, channels, side, side).contiguous()


def centres(picture: Image.Image, columns: int, tile: int) -> list[list[int]]:
    sheet = np.asarray(picture)[..., 0] if picture.mode == "RGB" else np.asarray(picture)
    middle = slice(2 + tile // 2, None, tile + 2)
    return sheet[middle, middle][:, :columns].tolist()


def test_images_go_left_to_right_and_down() -> None:
    picture = grid(shades(5), columns=3)
    assert picture.mode == "L"
    assert centres(picture, 3, 64) == [[0, 10, 20], [30, 40, 255]]


def test_colour_stays_colour() -> None:
    images = torch.full((1, 3, 64, 64), -1.0)
    images[:, 1] = 1.0
    assert grid(images).getpixel((33, 33)) == (0, 255, 0)


def test_small_images_are_enlarged_by_whole_pixels() -> None:
    image = torch.tensor([[-1.0, 1.0], [1.0, -1.0]]).view(1, 1, 2, 2)
    sheet = np.asarray(grid(image))
    assert sheet.shape == (68, 68)
    assert np.unique(sheet[2:34, 2:34]).tolist() == [0]
    assert np.unique(sheet[2:34, 34:66]).tolist() == [255]


def test_no_frame_is_the_image_itself() -> None:
    image = torch.rand(1, 1, 8, 8) * 2 - 1
    sheet = np.asarray(grid(image, frame=False))
    assert np.array_equal(sheet, ((image[0, 0].numpy() + 1) * 127.5).round().astype(np.uint8))


@pytest.mark.parametrize(("n", "size"), [(1, (68, 68)), (4, (134, 134)), (10, (200, 266))])
def test_a_grid_is_nearly_square(n: int, size: tuple[int, int]) -> None:
    assert grid(shades(n)).size == size


def test_a_copy_lies_below_its_original() -> None:
    first = shades(5)
    second = first + 100 / 127.5
    lines = centres(pairs(first, second, columns=3), 3, 64)
    assert lines == [[0, 10, 20], [100, 110, 120], [30, 40, 255], [130, 140, 255]]


def test_a_picture_is_written_as_png(tmp_path: Path) -> None:
    path = save_picture(grid(shades(2)), tmp_path / "new" / "x.png")
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", grid(shades(2)).size)
