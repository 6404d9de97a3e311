from pathlib import Path

import pytest
from PIL import Image, ImageCms

from glo.data import SourceOptions, open_source


def put(path: Path, value=0, size=(16, 16), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def notes(folder, **options):
    return " ".join(open_source(folder, SourceOptions(**options)).notes)


def test_color_that_comes_late_is_color(tmp_path):
    for number in range(70):
        put(tmp_path / f"{number}.png", 9)
    for number in range(70, 100):
        put(tmp_path / f"{number}.png", (1, 2, 3), mode="RGB")
    dataset = open_source(tmp_path)
    assert dataset.shape == (3, 16, 16)
    assert dataset.rows[99, 0, 0].tolist() == [1, 2, 3]
    assert open_source(tmp_path, SourceOptions(size=8)).shape == (3, 8, 8)
    assert "30 of 100 images are in color" in notes(tmp_path)
    assert "30 of 100 images are in color" in notes(tmp_path, channels=1)
    assert "in color" not in notes(tmp_path, channels=1, limit=70)
    assert open_source(tmp_path, SourceOptions(limit=70)).shape == (1, 16, 16)


@pytest.mark.parametrize("crop", ["center", "pad", "stretch"])
def test_sizes(tmp_path, crop):
    put(tmp_path / "a.png", size=(40, 30))
    assert "40 x 30" not in notes(tmp_path, crop=crop)
    assert "40 x 30" in notes(tmp_path, crop=crop, size=8)
    put(tmp_path / "b.png", size=(400, 300))
    text = notes(tmp_path, crop=crop)
    assert "40 x 30 to 400 x 300" in text
    assert "128 x 128" in text


def test_pages_and_profiles_are_counted(tmp_path):
    put(tmp_path / "a.png", mode="RGB")
    other = Image.new("L", (16, 16), 200)
    put(tmp_path / "b.tif", save_all=True, append_images=[other])
    put(tmp_path / "c.gif", 10, save_all=True, append_images=[other])
    put(tmp_path / "d.png", mode="RGB", icc_profile=b"nothing")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    put(tmp_path / "e.png", mode="RGB", icc_profile=srgb)
    text = notes(tmp_path)
    assert "2 of 5 images have several pages or frames" in text
    assert "1 of 5 images have a color profile that is damaged" in text
    assert "converted" not in text


def test_other_files_are_counted_by_ending(tmp_path, monkeypatch):
    suffixes = frozenset({".jpg"})
    monkeypatch.setattr("glo.data.readers.image_files.image_suffixes", lambda: suffixes)
    for number in range(5):
        put(tmp_path / f"{number}.jpg")
    for number in range(55):
        (tmp_path / f"{number}.HEIC").touch()
    for name in ("a.txt", "b.txt", "c.csv", "d"):
        (tmp_path / name).touch()
    dataset = open_source(tmp_path)
    assert len(dataset) == 5
    text = " ".join(dataset.notes)
    assert "55 files ending in .heic" in text
    assert "[heic]" in text
    assert "2 .txt, 1 .csv" in text
    assert dataset.skipped == ()
    (tmp_path / "e.csv").touch()  # the cache does not hide it
    assert "2 .csv" in notes(tmp_path)


def test_empty_alpha_channels_are_counted(tmp_path):
    put(tmp_path / "a.png", (9, 8, 7, 0), mode="RGBA")
    put(tmp_path / "b.png", (9, 8, 7, 200), mode="RGBA")
    assert "1 of 2 images have an alpha channel" in notes(tmp_path)
