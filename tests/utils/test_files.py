"""Atomic writes and size-limited reads."""

import os
from pathlib import Path

import pytest

from glo.errors import UserError
from glo.utils.files import (
    atomic_folder,
    atomic_write,
    clear_unfinished,
    flush,
    open_plain,
    read_bytes,
    read_text,
    recover_folder,
    replace_folder,
    write_text,
)


def test_write_text_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "é.json"
    write_text(path, "one")
    write_text(path, "zwölf\n")
    assert path.read_bytes() == "zwölf\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["é.json"]


def test_a_failed_write_leaves_the_old_file_only(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "before")

    def fail(place: Path) -> None:
        place.write_text("half")
        raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"), atomic_write(path) as writing:
        fail(writing)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_flushed_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "a.txt", []
    write_text(path, "before")

    def look(place: Path) -> None:
        seen.append((place.read_text() if place.is_file() else "names", path.read_text()))

    monkeypatch.setattr("glo.utils.files.flush", look)
    write_text(path, "after")
    assert seen == [("after", "before"), ("names", "after")]
    monkeypatch.undo()
    flush(tmp_path)


def test_write_text_replaces_undecodable_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "caf\udce9")
    assert (tmp_path / "a.json").read_text("utf-8") == "caf?"


def test_atomic_write_raises_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        pass


def test_open_plain_raises_for_folders_pipes_and_devices(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(UserError, match="is not a plain file"):
            open_plain(path)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "nothing")


def test_read_bytes_raises_for_large_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, max_bytes=5) == b"12345"
    with pytest.raises(UserError, match="has 5 bytes, and at most 4 are read"):
        read_bytes(path, max_bytes=4)
    # A hole takes no room on the disk, and would in memory.
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="at most 4 are read"):
        read_bytes(path, max_bytes=4)


def test_read_text_raises_for_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="is not text in UTF-8"):
        read_text(tmp_path / "a", max_bytes=99)


def test_clear_unfinished_deletes_files_of_killed_processes_only(tmp_path: Path) -> None:
    names = {
        ".999999999.table.csv": False,
        # Another process that lives: it is at it.
        f".{os.getppid()}.table.csv": True,
        # A process with our number, before us.
        f".{os.getpid()}.table.csv": False,
        ".hidden": True,
        ".1": True,
        "table.csv": True,
    }
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".999999999.folder").mkdir()
    clear_unfinished(tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {name for name, stays in names.items() if stays} | {".999999999.folder"}
    clear_unfinished(tmp_path / "none")


def test_atomic_folder_replaces_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for number in range(2):
        with atomic_folder(folder, replace=True) as temporary:
            (temporary / f"{number}.txt").touch()
    with pytest.raises(RuntimeError), atomic_folder(folder, replace=True) as temporary:
        raise RuntimeError
    with atomic_folder(folder, replace=False) as temporary:
        (temporary / "2.txt").touch()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt")] == ["set/1.txt"]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("renames", [0, 1])
def test_an_interrupted_replacement_of_a_folder_is_recovered(
    tmp_path: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, new, rename = tmp_path / "set", tmp_path / "new", Path.rename
    for path in (folder, new):
        path.mkdir()
        (path / path.name).touch()
    count = iter(range(renames))

    def interrupted(self: Path, target: Path) -> Path:
        next(count)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(StopIteration):
        replace_folder(new, folder)
    monkeypatch.undo()
    recover_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["set"]
    replace_folder(new, folder)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def test_folders_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    (tmp_path / ".999999999.1.set" / "inside").mkdir(parents=True)
    (tmp_path / f".{os.getppid()}.1.set").mkdir()
    with atomic_folder(tmp_path / "set", replace=False):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"set", f".{os.getppid()}.1.set"}
