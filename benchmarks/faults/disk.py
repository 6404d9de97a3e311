"""Full disks and limited file sizes."""

import os
import random
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.case import Attempt, Case, newest
from benchmarks.faults.forked_run import Outcome, run_forked

__all__ = ["fill_disk", "limit_files"]

_ROOM = 2**20


def fill_disk(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Fill a small file system during a run, then free space and resume.

    Nothing is tried where it cannot be mounted, which takes rights.
    """
    place = case.folder / "small"
    needed = sum(path.stat().st_blocks * 512 for path in case.whole.rglob("*"))
    for _ in range(count):
        with _small(place) as mounted:
            if not mounted:
                return
            out, ballast = place / "run", place / "ballast"
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _ROOM - rng.randrange(2 * needed))
            ended = run_forked(case.command(out))
            full = _unsaid(ended, "no space is left") or _damaged(out)
            ballast.unlink()
            yield Attempt("a full disk (tmpfs)", full or case.resume(out)[1])


def limit_files(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Limit file sizes to a random value, then lift the limit and resume."""
    largest = max(path.stat().st_size for path in case.whole.rglob("*"))
    for _ in range(count):
        out, size = case.new(), rng.randrange(largest)
        ended = run_forked(
            case.command(out),
            lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size,) * 2),
        )
        lost = _unsaid(ended, "larger than is allowed") or _damaged(out) or case.resume(out)[1]
        yield Attempt("files that may not grow (RLIMIT_FSIZE)", lost and f"{out.name}: {lost}")
        if not lost:
            case.drop(out)


def _unsaid(ended: Outcome, words: str) -> str:
    said = ended.code == 2 and words in ended.text and "Traceback" not in ended.text
    return "" if said or ended.code == 0 else f"it ended with {ended.code}: {ended.text[-500:]}"


def _damaged(out: Path) -> str:
    found = newest(out)
    return " ".join(found.notes) if found else ""


@contextmanager
def _small(place: Path) -> Iterator[bool]:
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "glo-faults", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
