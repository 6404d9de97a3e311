"""One writer per folder; nobody else's file is harmed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glo.errors import UserError
from glo.utils.lock import RunLock


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    with pytest.raises(UserError, match="is being trained by another process"):
        RunLock(tmp_path)
    lock.release()
    RunLock(tmp_path).release()


def test_another_process_is_refused_and_a_dead_one_leaves_nothing(tmp_path: Path) -> None:
    hold = (
        "import fcntl, os, sys; file = open(sys.argv[1], 'a');"
        "fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", hold, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="another process"):
            RunLock(tmp_path)
        other.kill()
    RunLock(tmp_path).release()


def test_a_file_of_that_name_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("mine")
    RunLock(tmp_path).release()
    assert (tmp_path / "lock").read_text() == "mine"


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is not a plain file"):
        RunLock(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "lock").unlink()
    os.mkfifo(tmp_path / "lock")
    RunLock(tmp_path).release()
