import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glo.data import SourceOptions, open_images, open_source
from glo.data.readers.folder import list_images
from glo.errors import UserError


def put(path: Path, value=0, size=(16, 16), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_natural_order_and_row_values(tmp_path):
    for number in (10, 9, 100, 1):
        put(tmp_path / f"img{number}.png", number)
    put(tmp_path / "img01.PNG", 11)
    samples = open_source(tmp_path)
    assert samples.rows[:, 0, 0, 0].tolist() == [11, 1, 9, 10, 100]
    assert samples.shape == (1, 16, 16)
    assert samples.labels is None
    assert samples.name == tmp_path.name


def test_sub_folders_are_labels(tmp_path):
    for name, value in (("dog/b.png", 3), ("cat10/a.png", 2), ("cat9/deep/er/x.png", 1)):
        put(tmp_path / name, value)
    samples = open_source(tmp_path)
    assert samples.label_names == ("cat9", "cat10", "dog")
    assert samples.labels.tolist() == [0, 1, 2]
    assert samples.rows[:, 0, 0, 0].tolist() == [1, 2, 3]
    put(tmp_path / "loose.png")
    assert open_source(tmp_path).labels is None


def test_label_without_readable_image_is_dropped(tmp_path):
    put(tmp_path / "b/1.png")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/bad.png").write_bytes(b"nothing")
    samples = open_source(tmp_path)
    assert samples.label_names == ("b",)
    assert samples.labels.tolist() == [0]


def test_unreadable_files_are_skipped_with_a_reason(tmp_path):
    put(tmp_path / "good.png", 7)
    (tmp_path / "bad.png").write_bytes(b"nothing")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / ".hidden.png").write_bytes(b"not looked at")
    samples = open_source(tmp_path)
    assert len(samples) == 1
    assert sorted(samples.skipped) == [
        "bad.png: not an image that pillow can read",
        "empty.jpg: not an image that pillow can read",
    ]
    assert open_source(tmp_path).skipped == samples.skipped  # from the cache


def test_links(tmp_path):
    outside = tmp_path / "outside"
    put(outside / "secret.png")
    root = tmp_path / "root"
    put(root / "a.png", 1)
    (root / "inside.png").symlink_to(root / "a.png")
    (root / "out.png").symlink_to(outside / "secret.png")
    (root / "up.png").symlink_to(root / ".." / "outside" / "secret.png")
    (root / "gone.png").symlink_to(root / "nothing.png")
    (root / "loop").symlink_to(root)
    samples = open_source(root)
    assert len(samples) == 2
    reasons = dict(text.split(": ", 1) for text in samples.skipped)
    assert reasons.pop("loop") == "a link to a folder, not followed"
    assert reasons.pop("out.png") == reasons.pop("up.png") == "a link out of the folder"
    assert reasons == {"gone.png": "cannot be read: no such file or directory"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_does_not_block(tmp_path):
    put(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert open_source(tmp_path).skipped == ("b.png: not a plain file",)


def test_colour_if_any_of_the_first_files_is(tmp_path):
    put(tmp_path / "a.png", 9)
    assert open_source(tmp_path).shape == (1, 16, 16)
    put(tmp_path / "b.png", (1, 2, 3), mode="RGB")
    samples = open_source(tmp_path)
    assert samples.shape == (3, 16, 16)
    assert samples.rows[:, 0, 0].tolist() == [[9, 9, 9], [1, 2, 3]]
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
def test_size_when_none_is_asked_for(tmp_path, sizes, side):
    for number, size in enumerate(sizes):
        put(tmp_path / f"{number}.png", size=size)
    assert open_source(tmp_path).shape[1:] == side


def test_size_limit_and_crop(tmp_path):
    for number in range(5):
        put(tmp_path / f"{number}.png", 100, size=(40, 20))
    samples = open_source(tmp_path, SourceOptions(size=16, limit=3))
    assert samples.rows.shape == (3, 16, 16, 1)
    assert (samples.rows == 100).all()
    padded = open_source(tmp_path, SourceOptions(size=16, crop="pad"))
    assert (padded.rows[:, 0] == 0).all()


def test_limit_counts_readable_files(tmp_path):
    (tmp_path / "0.png").write_bytes(b"nothing")
    for number in range(1, 5):
        put(tmp_path / f"{number}.png", number)
    samples = open_source(tmp_path, SourceOptions(size=16, limit=2))
    assert samples.rows[:, 0, 0, 0].tolist() == [1, 2]


def test_many_files_keep_their_order(tmp_path):
    for number in range(150):
        put(tmp_path / f"{number}.png", number, size=(4, 4))
    assert open_source(tmp_path).rows[:, 0, 0, 0].tolist() == list(range(150))


def test_nothing_to_read(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        open_source(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"but notes\.txt"):
        open_source(tmp_path)
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"no image that can be read \(a\.png: not an image"):
        open_source(tmp_path)


def test_changed_file_is_read_again(tmp_path):
    put(tmp_path / "a.png", 1)
    assert open_source(tmp_path).rows[0, 0, 0, 0] == 1
    put(tmp_path / "a.png", 2)
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert open_source(tmp_path).rows[0, 0, 0, 0] == 2


def test_rows_are_mapped_from_the_cache(tmp_path, cache):
    put(tmp_path / "a.png", 1)
    rows = open_source(tmp_path).rows
    (entry,) = (cache / "samples").iterdir()
    assert (entry / "rows.npy").exists()
    assert not rows.flags.owndata


def test_odd_names(tmp_path):
    put(tmp_path / "ok.png", 1)
    name = os.fsencode(tmp_path) + b"/b\xffd\n.png"
    try:
        Path(os.fsdecode(name)).write_bytes(b"nothing")
    except OSError:
        pytest.skip("the file system refuses such names")
    assert open_source(tmp_path).skipped == ("b\\udcffd\\n.png: not an image that pillow can read",)


def test_listing_is_sorted_within_folders(tmp_path):
    for name in ("b/1.png", "a/10.png", "a/2.png", "a-1/1.png"):
        put(tmp_path / name)
    names = [name.replace(os.sep, "/") for name in list_images(tmp_path).names]
    assert names == ["a/2.png", "a/10.png", "a-1/1.png", "b/1.png"]


def test_named_files_keep_their_order_and_must_all_be_read(tmp_path):
    for number in range(3):
        put(tmp_path / f"{number}.png", number, size=(20, 20))
    files = [tmp_path / f"{number}.png" for number in (2, 0, 1)]
    samples = open_images(files, SourceOptions(size=8, channels=3))
    assert samples.rows[:, 0, 0, 0].tolist() == [2, 0, 1]
    assert samples.shape == (3, 8, 8)
    assert open_source(files[0]).rows[0, 0, 0, 0] == 2
    (tmp_path / "bad.png").write_bytes(b"nothing")
    for some in ([files[0], tmp_path / "bad.png"], [tmp_path / "bad.png"]):
        with pytest.raises(UserError, match=r"bad\.png: not an image"):
            open_images(some)
    with pytest.raises(UserError, match="at least one"):
        open_images([])


def test_values_survive(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    assert np.array_equal(open_source(tmp_path).rows, pixels)
