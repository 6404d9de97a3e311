import os
from pathlib import Path

import numpy as np
import pytest

from glo.data import Dataset, SourceOptions
from glo.data.cache import cache_folder, cache_key, open_cached
from glo.errors import UserError

ROWS = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)


class Builder:
    def __init__(self):
        self.rooms = []

    def __call__(self, room):
        self.rooms.append(room)
        return Dataset(rows=ROWS, name="x")


def test_second_opening_builds_nothing(cache):
    build = Builder()
    for _ in range(2):
        assert np.array_equal(open_cached("key", build, None).rows, ROWS)
    assert len(build.rooms) == 1
    assert [path.name for path in (cache / "samples").iterdir()] == ["key"]


@pytest.mark.parametrize("name", ["rows.npy", "samples.json"])
def test_broken_entry_is_built_again(tmp_path, name):
    build = Builder()
    open_cached("key", build, tmp_path)
    (tmp_path / "samples/key" / name).write_bytes(b"broken")
    assert np.array_equal(open_cached("key", build, tmp_path).rows, ROWS)
    assert len(build.rooms) == 2


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    build = Builder()
    assert np.array_equal(open_cached("key", build, tmp_path / "file" / "below").rows, ROWS)
    assert build.rooms == [None]


def test_full_disk_falls_back_to_memory(tmp_path):
    rooms = []

    def build(room):
        rooms.append(room)
        if room is not None:
            raise OSError(28, "No space left on device")
        return Dataset(rows=ROWS, name="x")

    assert len(open_cached("key", build, tmp_path)) == 4
    assert rooms[1] is None
    assert list((tmp_path / "samples").iterdir()) == []


def test_mistake_while_building_leaves_nothing(tmp_path):
    def build(room):
        (room / "rows.npy").touch()
        raise UserError("bad data")

    with pytest.raises(UserError, match="bad data"):
        open_cached("key", build, tmp_path)
    assert list((tmp_path / "samples").iterdir()) == []


def test_two_processes_at_once_keep_the_first(tmp_path):
    def build(room):
        open_cached("key", Builder(), tmp_path / "other")
        os.makedirs(tmp_path / "samples", exist_ok=True)
        if not (tmp_path / "samples/key").exists():
            (tmp_path / "other/samples/key").rename(tmp_path / "samples/key")
        return Dataset(rows=ROWS + 1, name="late")

    assert open_cached("key", build, tmp_path).name == "x"
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["key"]


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("GLO_CACHE", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("GLO_CACHE")
    assert cache_folder() == Path("/shared/glo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/glo")


def test_key_depends_on_all_that_decides(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    os.utime(file, ns=(0, 0))
    base = cache_key("k", tmp_path, [file], SourceOptions())
    assert base == cache_key("k", tmp_path / ".", [file], SourceOptions())
    others = {
        cache_key("other", tmp_path, [file], SourceOptions()),
        cache_key("k", tmp_path.parent, [file], SourceOptions()),
        cache_key("k", tmp_path, [], SourceOptions()),
        cache_key("k", tmp_path, [file], SourceOptions(size=8)),
        cache_key("k", tmp_path, [file, tmp_path / "gone"], SourceOptions()),
    }
    os.utime(file, ns=(5, 5))
    others.add(cache_key("k", tmp_path, [file], SourceOptions()))
    file.write_bytes(b"12")
    os.utime(file, ns=(0, 0))
    others.add(cache_key("k", tmp_path, [file], SourceOptions()))
    assert base not in others
    assert len(others) == 7
