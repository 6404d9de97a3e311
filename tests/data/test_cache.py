import os
from pathlib import Path

import numpy as np
import pytest

from glo.data import Dataset, SourceOptions
from glo.data.cache import cache_folder, cache_key, open_cached
from glo.errors import UserError

ROWS = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)


class Builder:
    def __init__(self, error=None):
        self.folders, self.error = [], error

    def __call__(self, folder):
        self.folders.append(folder)
        if folder is not None and self.error is not None:
            (folder / "rows.npy").touch()
            raise self.error
        return Dataset(rows=ROWS, name="x")


def test_second_opening_builds_nothing(cache):
    build = Builder()
    for _ in range(2):
        assert np.array_equal(open_cached("key", build, None).rows, ROWS)
    assert len(build.folders) == 1
    assert [path.name for path in (cache / "samples").iterdir()] == ["key"]


@pytest.mark.parametrize("name", ["rows.npy", "samples.json"])
def test_a_broken_entry_is_built_again(tmp_path, name):
    build = Builder()
    open_cached("key", build, tmp_path)
    (tmp_path / "samples/key" / name).write_bytes(b"broken")
    assert np.array_equal(open_cached("key", build, tmp_path).rows, ROWS)
    assert len(build.folders) == 2


def test_without_a_writable_cache_it_is_built_in_memory(tmp_path):
    (tmp_path / "file").touch()
    build = Builder()
    assert np.array_equal(open_cached("key", build, tmp_path / "file" / "below").rows, ROWS)
    assert build.folders == [None]
    full = Builder(OSError(28, "No space left on device"))
    assert len(open_cached("key", full, tmp_path)) == 4
    assert full.folders[1] is None
    assert list((tmp_path / "samples").iterdir()) == []


def test_an_error_of_building_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="bad data"):
        open_cached("key", Builder(UserError("bad data")), tmp_path)
    assert list((tmp_path / "samples").iterdir()) == []


def test_of_two_processes_at_once_the_first_entry_is_kept(tmp_path):
    def build(folder):
        open_cached("key", Builder(), tmp_path / "other")
        (tmp_path / "other/samples/key").rename(tmp_path / "samples/key")
        return Dataset(rows=ROWS + 1, name="late")

    assert open_cached("key", build, tmp_path).name == "x"
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["key"]


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("GLO_CACHE", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("GLO_CACHE")
    assert cache_folder() == Path("/shared/glo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/glo")


def test_key_depends_on_everything_that_determines_the_content(tmp_path):
    file = tmp_path / "a"

    def key(kind="k", root=tmp_path, files=(file,), time=0, content=b"1", **options):
        file.write_bytes(content)
        os.utime(file, ns=(time, time))
        return cache_key(kind, root, list(files), SourceOptions(**options))

    assert key() == key(root=tmp_path / ".")
    others = {
        key(kind="other"),
        key(root=tmp_path.parent),
        key(files=()),
        key(files=(file, tmp_path / "gone")),
        key(size=8),
        key(time=5),
        key(content=b"12"),
    }
    assert key() not in others
    assert len(others) == 7
