import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glo.data import SourceOptions, open_images, open_source
from glo.data.readers.image_files import list_images, read_listing
from glo.errors import UserError


def put(path: Path, value=0, size=(16, 16), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_natural_order(tmp_path):
    for number in (10, 9, 100, 1):
        put(tmp_path / f"img{number}.png", number)
    put(tmp_path / "img01.PNG", 11)
    dataset = open_source(tmp_path)
    assert dataset.rows[:, 0, 0, 0].tolist() == [11, 1, 9, 10, 100]
    assert (dataset.shape, dataset.labels, dataset.name) == ((1, 16, 16), None, tmp_path.name)


def test_listing_is_sorted_within_folders(tmp_path):
    for name in ("b/1.png", "a/10.png", "a/2.png", "a-1/1.png"):
        put(tmp_path / name)
    names = [name.replace(os.sep, "/") for name in list_images(tmp_path).names]
    assert names == ["a/2.png", "a/10.png", "a-1/1.png", "b/1.png"]


def test_subfolders_are_labels(tmp_path):
    for name, value in (("dog/b.png", 3), ("cat10/a.png", 2), ("cat9/deep/er/x.png", 1)):
        put(tmp_path / name, value)
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable/bad.png").write_bytes(b"nothing")
    dataset = open_source(tmp_path)
    assert dataset.label_names == ("cat9", "cat10", "dog")
    assert dataset.labels.tolist() == [0, 1, 2]
    assert dataset.rows[:, 0, 0, 0].tolist() == [1, 2, 3]
    put(tmp_path / "loose.png")
    assert open_source(tmp_path).labels is None


def test_unreadable_files_are_skipped_with_a_reason(tmp_path):
    put(tmp_path / "good.png", 7)
    (tmp_path / "bad.png").write_bytes(b"nothing")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").write_bytes(b"nothing")
    for _ in range(2):  # the second time from the cache
        dataset = open_source(tmp_path)
        assert len(dataset) == 1
        assert sorted(text.split(":")[0] for text in dataset.skipped) == ["bad.png", "empty.jpg"]


def test_links(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    put(outside / "secret.png")
    put(root / "a.png", 1)
    (root / "inside.png").symlink_to(root / "a.png")
    (root / "out.png").symlink_to(outside / "secret.png")
    (root / "up.png").symlink_to(root / ".." / "outside" / "secret.png")
    (root / "gone.png").symlink_to(root / "nothing.png")
    (root / "loop").symlink_to(root)
    dataset = open_source(root)
    assert len(dataset) == 2
    skipped = sorted(text.split(": ")[0] for text in dataset.skipped)
    assert skipped == ["gone.png", "loop", "out.png", "up.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_skipped(tmp_path):
    put(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert open_source(tmp_path).skipped == ("b.png: not a plain file",)


def test_color_if_any_of_the_first_files_is(tmp_path):
    put(tmp_path / "a.png", 9)
    assert open_source(tmp_path).shape == (1, 16, 16)
    put(tmp_path / "b.png", (1, 2, 3), mode="RGB")
    dataset = open_source(tmp_path)
    assert dataset.rows[:, 0, 0].tolist() == [[9, 9, 9], [1, 2, 3]]
    assert open_source(tmp_path, SourceOptions(channels=1)).shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(40, 50), (70, 60), (45, 90)], (32, 32)),
        ([(300, 400), (500, 600)], (128, 128)),
        ([(3, 5), (4, 4)], (8, 8)),
        ([(20, 30), (20, 30)], (30, 20)),
        ([(64, 64), (64, 65)], (64, 64)),
    ],
)
def test_default_size(tmp_path, sizes, side):
    for number, size in enumerate(sizes):
        put(tmp_path / f"{number}.png", size=size)
    assert open_source(tmp_path).shape[1:] == side


def test_size_crop_and_limit(tmp_path):
    (tmp_path / "0.png").write_bytes(b"nothing")
    for number in range(1, 6):
        put(tmp_path / f"{number}.png", 100 + number, size=(40, 20))
    dataset = open_source(tmp_path, SourceOptions(size=16, limit=3))
    assert dataset.shape == (1, 16, 16)
    assert dataset.rows[:, 0, 0, 0].tolist() == [101, 102, 103]
    padded = open_source(tmp_path, SourceOptions(size=16, crop="pad"))
    assert (padded.rows[:, 0] == 0).all()


def test_values_and_order_of_many_files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (150, 4, 4, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    dataset = open_source(tmp_path)
    assert np.array_equal(dataset.rows, pixels)
    assert dataset.is_mapped


class First:
    """First of two processes, of which the other finds nothing."""

    rank, size, is_main = 0, 2, True

    def sharing_errors(self):
        return nullcontext()

    def all_gather_object(self, value):
        return [value, [[] for each in value if isinstance(each, list)]]


def test_a_process_decodes_its_share_alone(tmp_path):
    for number in range(5):
        put(tmp_path / f"{number}.png", number)
    (tmp_path / "0.png").write_bytes(b"nothing")
    listing = list_images(tmp_path)
    (tmp_path / "rows").mkdir()
    dataset = read_listing(listing, SourceOptions(), tmp_path / "rows", First())
    assert listing.decoded == ["1.png"]
    assert [text.split(":")[0] for text in dataset.skipped] == ["0.png"]
    assert dataset.rows[:, 0, 0, 0].tolist() == [1]
    assert dataset.is_mapped


def test_nothing_to_read(tmp_path):
    with pytest.raises(UserError, match="empty"):
        open_source(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"notes\.txt"):
        open_source(tmp_path)
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"a\.png: not an image"):
        open_source(tmp_path)


def test_a_changed_file_is_read_again(tmp_path):
    for value in (1, 2):
        put(tmp_path / "a.png", value)
        os.utime(tmp_path / "a.png", ns=(value, value))
        assert open_source(tmp_path).rows[0, 0, 0, 0] == value


def test_unprintable_names(tmp_path):
    put(tmp_path / "ok.png", 1)
    name = os.fsencode(tmp_path) + b"/b\xffd\n.png"
    try:
        Path(os.fsdecode(name)).write_bytes(b"nothing")
    except OSError:
        pytest.skip("the file system refuses such names")
    assert open_source(tmp_path).skipped == ("b\\udcffd\\n.png: not an image that pillow can read",)


def test_open_images_keeps_the_order_and_needs_every_file(tmp_path):
    for number in range(3):
        put(tmp_path / f"{number}.png", number, size=(20, 20))
    files = [tmp_path / f"{number}.png" for number in (2, 0, 1)]
    dataset = open_images(files, SourceOptions(size=8, channels=3))
    assert dataset.rows[:, 0, 0, 0].tolist() == [2, 0, 1]
    assert dataset.shape == (3, 8, 8)
    assert open_source(files[0]).rows[0, 0, 0, 0] == 2
    (tmp_path / "bad.png").write_bytes(b"nothing")
    for some in ([files[0], tmp_path / "bad.png"], [tmp_path / "bad.png"]):
        with pytest.raises(UserError, match=r"bad\.png"):
            open_images(some)
    with pytest.raises(UserError, match="at least one"):
        open_images([])
