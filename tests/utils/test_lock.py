"""One writer per run folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glo.errors import UserError
from glo.utils.lock import RunLock


def test_a_second_lock_is_refused_until_the_first_is_released(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    with pytest.raises(UserError, match=f"process {os.getpid()}"):
        RunLock(tmp_path)
    lock.release()
    RunLock(tmp_path).release()


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from glo.utils.lock import RunLock;"
        "lock = RunLock(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(UserError, match=f"process {other.pid}"):
            RunLock(tmp_path)
        other.kill()
    RunLock(tmp_path).release()


def test_a_link_is_refused_and_a_pipe_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="lock"):
        RunLock(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "lock").unlink()
    os.mkfifo(tmp_path / "lock")
    lock = RunLock(tmp_path)
    with pytest.raises(UserError, match="another process"):
        RunLock(tmp_path)
    lock.release()
