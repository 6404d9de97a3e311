"""Kill of one process of two under `torchrun`, which restarts all of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.case import Attempt, Case, difference

__all__ = ["kill_under_torchrun", "work"]

_ROOT = Path(__file__).resolve().parents[2]


def kill_under_torchrun(case: Case, count: int) -> Iterator[Attempt]:
    """Complete a run by `torchrun --max-restarts 1` after a kill of one process."""
    for turn in range(count):
        out, rank = case.new(), turn % case.ranks
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        words += ["--nproc-per-node", str(case.ranks), "--max-restarts", "1"]
        words += ["-m", "benchmarks.faults", "--work", str(rank), *case.command(out)]
        paths = f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"
        ended = subprocess.run(
            words,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        mark = out.with_suffix(".killed")
        lost = "" if ended.returncode == 0 else f"torchrun failed: {ended.stderr[-1500:]}"
        if not lost and not mark.exists():
            lost = "nothing was killed"
        lost = lost or difference(case.whole, out)
        yield Attempt("kill -9 of one process of two under torchrun", lost and f"{rank}: {lost}")


def work(rank: int, words: list[str]) -> int:
    """Train as one of the processes of torchrun; one is killed at the first start."""
    import torch

    import glo.cli.train
    from glo.cli.app import run
    from glo.workflows.train import TrainingRun

    torch.set_num_threads(1)
    glo.cli.train._report = lambda session: None
    mark = Path(words[-1]).with_suffix(".killed")
    stop_if_asked = TrainingRun._stop_if_asked

    def kill(self: TrainingRun, step: int | None = None) -> None:
        if step == 15 and not mark.exists() and os.environ["RANK"] == str(rank):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        stop_if_asked(self, step)

    TrainingRun._stop_if_asked = kill  # type: ignore[method-assign]
    return run(words)
