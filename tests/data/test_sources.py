import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from glo.data import Dataset, SourceOptions, open_source
from glo.errors import UserError, UserTypeError

ROWS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), dtype=np.uint8)
TEST = SourceOptions(split="test")


def test_path_that_is_not_there(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "5.png").touch()
    for given, near in (("photso", "photos"), ("photos/nope.png", "photos/5.png")):
        with pytest.raises(UserError) as caught:
            open_source(tmp_path / given)
        assert str(caught.value).endswith(f" Did you mean '{tmp_path / near}'?")
    with pytest.raises(UserError, match="There is no file or folder 'no/such/thing'"):
        open_source("no/such/thing")
    with pytest.raises(UserError, match=r"'a\\x00b'"):
        open_source("a\0b")
    with pytest.raises(UserError):
        open_source("x" * 5000)


def test_files_of_other_kinds(tmp_path):
    path = tmp_path / "data.xyz"
    path.touch()
    with pytest.raises(UserError, match=r"data\.xyz is not a file .* 'mnist'"):
        open_source(path)
    idx = tmp_path / "train-images-idx3-ubyte.gz"
    idx.touch()
    with pytest.raises(UserError, match="give the folder that it is in"):
        open_source(idx)


def test_a_folder_that_may_not_be_read_is_named_itself(tmp_path, monkeypatch):
    # Who has all rights may run this test.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError) as caught:
        open_source(tmp_path)
    assert (
        str(caught.value)
        == f"{tmp_path} cannot be read (Permission denied); check its permissions."
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        open_source(tmp_path / "a.npy")


@pytest.mark.parametrize("source", [None, 3, [[1.0, 2.0]], b"mnist", {"x": 1}])
def test_objects_of_other_kinds(source):
    with pytest.raises(UserTypeError, match=type(source).__name__):
        open_source(source)


def test_train_is_never_given_out_as_test(tmp_path):
    Image.fromarray(ROWS[0, ..., 0]).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "a.npz", ROWS)
    samples = Dataset(rows=ROWS, name="x")
    names = [tmp_path, tmp_path / "a.png", tmp_path / "a.npy", tmp_path / "a.npz"]
    for source in (*names, ROWS, samples):
        with pytest.raises(UserError, match="has no 'test' split"):
            open_source(source, TEST)


def test_saved_set(tmp_path):
    samples = Dataset(rows=ROWS, labels=np.arange(4), name="mine", skipped=("a: b",))
    samples.save(tmp_path / "set")
    again = open_source(tmp_path / "set")
    assert again.fingerprint == samples.fingerprint
    changed = open_source(tmp_path / "set", SourceOptions(size=8, channels=3, limit=2))
    assert changed.rows.shape == (2, 8, 8, 3)
    assert changed.labels.tolist() == [0, 1]
    assert (changed.name, changed.skipped) == ("mine", ("a: b",))


def test_set_in_memory():
    samples = Dataset(rows=ROWS, name="x")
    assert open_source(samples) is samples
    assert open_source(samples, SourceOptions(limit=2)).rows.base is not None
    masked = Dataset(rows=ROWS, missing=ROWS > 9, name="x")
    with pytest.raises(UserError, match="mask"):
        open_source(masked, SourceOptions(size=8))
    vectors = Dataset(rows=np.zeros((2, 3), np.float32), name="x")
    with pytest.raises(UserError, match="vectors"):
        open_source(vectors, SourceOptions(size=8))


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "a.npy", ROWS)
    assert len(open_source("~/a.npy")) == 4


def test_importing_does_not_import_pillow():
    code = "import sys, glo.data; sys.exit('PIL' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
