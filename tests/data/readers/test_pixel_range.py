from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glo.data import SourceOptions, open_source
from glo.data.reading import Reading
from glo.errors import UserError


def put(folder: Path, *images, suffix="png"):
    folder.mkdir(exist_ok=True)
    for number, values in enumerate(images):
        Image.fromarray(np.broadcast_to(values, (8, 8))).save(folder / f"{number}.{suffix}")
    return folder


def ramp(dtype, low, high):
    return np.linspace(low, high, 64).reshape(8, 8).astype(dtype)


@pytest.mark.parametrize(
    ("high", "white"), [(200, 255), (1000, 1023), (4011, 4095), (9000, 16383), (20000, 65535)]
)
def test_bits_in_use_are_those_of_the_whole_source(tmp_path, high, white):
    put(tmp_path, ramp(np.uint16, 0, high), np.uint16(100))
    dataset = open_source(tmp_path)
    assert dataset.reading == Reading(pixels="uint16", black=0, white=white)
    assert dataset.rows[0].max() == round(255 * high / white)
    assert dataset.rows[1].max() == round(255 * 100 / white)
    assert f"{white} is white" in " ".join(dataset.notes)
    assert open_source(tmp_path).reading == dataset.reading  # from the cache
    assert open_source(tmp_path).notes == dataset.notes


def test_8_bits_are_from_0_to_255_whatever_their_values(tmp_path):
    put(tmp_path, ramp(np.uint8, 0, 17))
    dataset = open_source(tmp_path)
    assert dataset.reading == Reading(pixels="uint8", black=0, white=255)
    assert dataset.rows.max() == 17
    assert any("--pixel-range 0 17" in note for note in dataset.notes)
    bright = open_source(tmp_path, SourceOptions(pixel_range=(0, 17)))
    assert bright.rows.max() == 255
    assert bright.reading.white == 17
    put(tmp_path, ramp(np.uint8, 0, 200))
    assert len(open_source(tmp_path).notes) == 1


def test_a_given_range_clips_and_may_invert(tmp_path):
    put(tmp_path, np.array([100, 200, 300, 400] * 2, np.uint16))
    rows = open_source(tmp_path, SourceOptions(pixel_range=(200, 300))).rows
    assert rows[0, 0, :4, 0].tolist() == [0, 0, 255, 255]
    rows = open_source(tmp_path, SourceOptions(pixel_range=(400, 100))).rows
    assert rows[0, 0, :4, 0].tolist() == [255, 170, 85, 0]


@pytest.mark.parametrize(("low", "black"), [(0.1, 0), (-1e-5, 0), (-0.6, -1)])
def test_floats(tmp_path, low, black):
    put(tmp_path, ramp(np.float32, low, 0.9), np.float32(0.5), suffix="tif")
    dataset = open_source(tmp_path)
    assert dataset.reading == Reading(pixels="float", black=black, white=1)
    assert dataset.rows[1].max() == round(255 * (0.5 - black) / (1 - black))


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.float32, 0, 3.5),
        (np.float32, -0.03, 0.98),
        (np.float32, -2, 1),
        (np.int32, -1024, 3071),
        (np.int32, 0, 70000),
    ],
)
def test_other_values_need_a_range(tmp_path, dtype, low, high):
    put(tmp_path, ramp(dtype, low, high), dtype(0), suffix="tif")
    with pytest.raises(UserError, match=f"{high:g}.*--pixel-range"):
        open_source(tmp_path)
    dataset = open_source(tmp_path, SourceOptions(pixel_range=(low, high)))
    assert (dataset.rows[0].min(), dataset.rows[0].max()) == (0, 255)
    assert dataset.rows[1].max() == round(-255 * low / (high - low))


def test_each_depth_has_its_own_range(tmp_path):
    put(tmp_path, np.uint16(4095), np.uint8(255), np.uint8(51))
    dataset = open_source(tmp_path)
    assert dataset.rows[:, 0, 0, 0].tolist() == [16, 255, 51]
    assert dataset.reading == Reading(pixels="uint8", black=0, white=255)
    assert any("depth" in note for note in dataset.notes)
    given = open_source(tmp_path, SourceOptions(pixel_range=(0, 510)))
    assert given.rows[:, 0, 0, 0].tolist() == [16, 128, 26]
    again = open_source(tmp_path, SourceOptions(pixel_range=(0, 510), reading=given.reading))
    assert np.array_equal(again.rows, given.rows)


def test_all_deep_integers_have_one_unit(tmp_path):
    put(tmp_path / "a", np.uint16(100))
    put(tmp_path / "a", np.int32(-100), np.int32(0), suffix="tif")
    dataset = open_source(tmp_path / "a", SourceOptions(pixel_range=(-100, 155)))
    assert dataset.rows[:, 0, 0, 0].tolist() == [200, 0, 100]
    assert dataset.reading == Reading(pixels="integer", black=-100, white=155)


def test_later_sources_are_read_as_the_training_data(tmp_path):
    reading = open_source(put(tmp_path / "a", np.uint16(3000))).reading
    assert reading.white == 4095
    later = put(tmp_path / "b", np.uint16(819), np.uint16(5000), np.uint8(255))
    dataset = open_source(later, SourceOptions(reading=reading))
    assert dataset.rows[:, 0, 0, 0].tolist() == [51, 255]
    assert [text.split(":")[0] for text in dataset.skipped] == ["1.png"]
    assert "5000" in dataset.skipped[0]
    assert dataset.ids.tolist() == ["0.png", "2.png"]


def test_dark_images_of_a_run_on_another_depth_are_not_stretched(tmp_path):
    reading = Reading(pixels="uint8", black=0, white=255)
    folder = put(tmp_path / "a", np.uint16(4095))
    assert open_source(folder, SourceOptions(reading=reading)).rows.max() == 16


def test_floats_of_a_run_on_negative_values(tmp_path):
    reading = Reading(pixels="float", black=-1, white=1)
    folder = put(tmp_path / "a", np.float32(0.1), suffix="tif")
    assert open_source(folder, SourceOptions(reading=reading)).rows.max() == 140


def test_arrays_and_files_of_a_run_have_one_rule(tmp_path):
    values = [ramp(np.uint16, 0, 5000), ramp(np.uint16, 0, 4000)]
    folder, array = put(tmp_path / "a", *values), np.stack(values)
    reading = Reading(pixels="uint16", black=0, white=4095)
    known = SourceOptions(reading=reading)
    assert len(open_source(folder, known)) == 1
    with pytest.raises(UserError, match=r"0 to 5000.*4095"):
        open_source(array, known)
    given = SourceOptions(reading=reading, pixel_range=(0, 4095))
    for source in (folder, array):
        clipped = open_source(source, given)
        assert clipped.rows[0].max() == 255
        assert "1 (50.0%) have values beyond" in " ".join(clipped.notes)
        # Of other pixels, such as the 8-bit samples of the run.
        other = put(tmp_path / "b", np.uint8(200)) if source is folder else np.full((2, 8, 8), 200)
        other = other.astype(np.uint8) if isinstance(other, np.ndarray) else other
        assert open_source(other, given).rows.max() == 200


@pytest.mark.parametrize("white", [100, 4095])
def test_a_given_range_of_a_run_clips_later_sources(tmp_path, white):
    folder = put(tmp_path / "a", np.int32(-1000), np.int32(5000), np.uint8(255), suffix="tif")
    reading = Reading(pixels="integer", black=0, white=white)
    # The images of a run, such as its samples, are 8-bit files.
    given = open_source(folder, SourceOptions(pixel_range=(0, white), reading=reading))
    assert given.rows[:, 0, 0, 0].tolist() == [0, 255, 255]
    usual = open_source(folder, SourceOptions(reading=reading))
    assert len(usual.skipped) == 2
