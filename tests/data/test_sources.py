import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from glo.data import Dataset, SourceOptions, open_source
from glo.data.reading import Reading
from glo.errors import UserError, UserTypeError

ROWS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), dtype=np.uint8)


def test_a_missing_path(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "5.png").touch()
    for name, near in (("photso", "photos"), ("photos/nope.png", "photos/5.png")):
        with pytest.raises(UserError, match="Did you mean") as caught:
            open_source(tmp_path / name)
        assert str(tmp_path / near) in str(caught.value)
    for name, words in (
        ("no/such/thing", "no/such/thing"),
        ("a\0b", r"a\\x00b"),
        ("x" * 5000, "xxx"),
    ):
        with pytest.raises(UserError, match=words):
            open_source(name)


def test_files_of_other_kinds(tmp_path):
    names = ["data.xyz", "train-images-idx3-ubyte.gz"]
    for name in names:
        (tmp_path / name).touch()
    if hasattr(os, "mkfifo"):
        names.append("a.npy")
        os.mkfifo(tmp_path / "a.npy")
    for name in names:
        with pytest.raises(UserError, match=name):
            open_source(tmp_path / name)


def test_an_unreadable_folder_is_named_itself(tmp_path, monkeypatch):
    # The superuser may read any folder.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path} .*Permission denied"):
        open_source(tmp_path)


@pytest.mark.parametrize("source", [None, 3, [[1.0, 2.0]], b"mnist", {"x": 1}])
def test_objects_of_other_types(source):
    with pytest.raises(UserTypeError, match=type(source).__name__):
        open_source(source)


def test_train_is_never_given_as_test(tmp_path):
    Image.fromarray(ROWS[0, ..., 0]).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "a.npz", ROWS)
    files = [tmp_path, tmp_path / "a.png", tmp_path / "a.npy", tmp_path / "a.npz"]
    for source in (*files, ROWS, Dataset(rows=ROWS, name="x")):
        with pytest.raises(UserError, match="'test' split"):
            open_source(source, SourceOptions(split="test"))


def test_a_saved_dataset(tmp_path):
    dataset = Dataset(rows=ROWS, labels=np.arange(4), name="saved", skipped=("a: b",))
    dataset.save(tmp_path / "set")
    assert open_source(tmp_path / "set").fingerprint == dataset.fingerprint
    changed = open_source(tmp_path / "set", SourceOptions(size=8, channels=3, limit=2))
    assert changed.rows.shape == (2, 8, 8, 3)
    assert changed.labels.tolist() == [0, 1]
    assert (changed.name, changed.skipped) == ("saved", ("a: b",))


def test_a_dataset_in_memory():
    dataset = Dataset(rows=ROWS, name="x")
    assert open_source(dataset) is dataset
    assert np.shares_memory(open_source(dataset, SourceOptions(limit=2)).rows, ROWS)
    masked = Dataset(rows=ROWS, missing=ROWS > 9, name="x")
    vectors = Dataset(rows=np.zeros((2, 3), np.float32), name="x")
    for each, words in ((masked, "mask"), (vectors, "vectors")):
        with pytest.raises(UserError, match=words):
            open_source(each, SourceOptions(size=8))


def test_a_pixel_range_is_not_used_for_a_dataset(tmp_path):
    dataset = Dataset(rows=ROWS, name="x", notes=("a",))
    dataset.save(tmp_path / "set")
    options = SourceOptions(pixel_range=(0, 9))
    for source in (dataset, tmp_path / "set"):
        found = open_source(source, options)
        assert found.fingerprint == dataset.fingerprint
        assert found.notes[:1] == ("a",)
        assert any("pixel range" in note for note in found.notes)
        # The range of a run, not of this source.
        assert open_source(source, replace(options, reading=Reading())).notes == ("a",)


def test_the_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "a.npy", ROWS)
    assert len(open_source("~/a.npy")) == 4


def test_the_import_does_not_import_pillow():
    code = "import sys, glo.data; sys.exit('PIL' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
