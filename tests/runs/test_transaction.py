"""A change is made or not: every cut in the middle, and whoever comes next."""

import shutil
from pathlib import Path

import pytest
from tests.builders import contents

from glo.errors import UserError
from glo.runs.transaction import commit, finish_change, staged
from glo.utils.lock import RunLock

OLD = {"a/one": b"1", "a/two": b"2", "kept": b"3", "swapped": b"4", "stale": b"5"}
NEW = {"a/three": b"6", "b/four": b"7", "kept": b"3", "swapped": b"8"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "run", OLD)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def change(folder: Path) -> None:
    with staged(folder) as new:
        write(new, {name: NEW[name] for name in NEW if name != "kept"})
        commit(folder, gone=["stale", "never there"])


def fail(folder: Path) -> None:
    with staged(folder) as new:
        write(new, NEW)
        raise ZeroDivisionError


def test_folders_are_replaced_whole_and_files_one_by_one(folder: Path) -> None:
    change(folder)
    assert contents(folder) == NEW
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "kept", "swapped"]


def test_without_a_decision_nothing_changes(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(folder)
    assert contents(folder) == OLD
    with staged(folder) as new:
        write(new, NEW)
    assert contents(folder) == OLD
    finish_change(folder)
    assert contents(folder) == OLD


@pytest.mark.parametrize("cut", range(12))
def test_every_cut_after_the_decision_is_mended(
    cut: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cut
    originals = {name: getattr(Path, name) for name in ("rename", "replace", "unlink", "mkdir")}
    remove = shutil.rmtree

    def counted(name: str) -> None:
        nonlocal left
        if (folder / ".change").is_dir():
            left -= 1
            if left < 0:
                raise KeyboardInterrupt(name)

    with monkeypatch.context() as patch:
        for name in originals:

            def broken(self: Path, *words: object, _name: str = name, **more: object) -> object:
                counted(_name)
                return originals[_name](self, *words, **more)

            patch.setattr(Path, name, broken)
        patch.setattr(shutil, "rmtree", lambda path: (counted("rmtree"), remove(path)))
        try:
            change(folder)
        except KeyboardInterrupt:
            assert (folder / ".change").is_dir()
    for _ in range(2):
        finish_change(folder)
        (folder / "lock").unlink(missing_ok=True)
        assert contents(folder) == NEW


def test_only_one_carries_it_out(folder: Path) -> None:
    (folder / ".change" / "new").mkdir(parents=True)
    lock = RunLock(folder)
    with pytest.raises(UserError, match="another process"):
        finish_change(folder)
    lock.release()
    finish_change(folder)
    (folder / "lock").unlink()
    assert contents(folder) == OLD


def test_what_a_killed_process_left_is_cleared(folder: Path) -> None:
    write(folder / ".change-writing" / "new", {"secret": b"code"})
    with staged(folder) as new:
        assert not list(new.iterdir())
    assert contents(folder) == OLD


@pytest.mark.parametrize("names", ['["../outside"]', '["a/b"]', '[""]', '[".."]', "[1]", "7", "["])
def test_a_change_of_a_stranger_removes_nothing_outside(tmp_path: Path, names: str) -> None:
    (tmp_path / "outside").write_text("mine")
    run = write(tmp_path / "run", {**OLD, ".change/gone.json": names.encode()})
    with pytest.raises(UserError, match=r"gone\.json"):
        finish_change(run)
    assert (tmp_path / "outside").read_text() == "mine"
    assert contents(run).keys() >= OLD.keys()


@pytest.mark.parametrize("name", [".change", ".change/new", ".change/old"])
def test_a_change_that_is_a_link_moves_nothing(tmp_path: Path, name: str) -> None:
    outside = write(tmp_path / "outside", {"mine": b"1"})
    run = write(tmp_path / "run", OLD)
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(outside)
    with pytest.raises(UserError, match="is not a folder of the run"):
        finish_change(run)
    assert contents(outside) == {"mine": b"1"}
    assert contents(run).keys() >= OLD.keys()
