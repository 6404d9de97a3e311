"""Tiny data, tiny runs, and ways to stop them; shared by the tests of runs and commands."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from glo.cli import training_progress as reporter
from glo.cli.app import run
from glo.config.settings import Settings
from glo.data import Dataset
from glo.runs.checkpoint import newest_checkpoint
from glo.training.events import Event
from glo.training.statistics import EpochRecord, StepRecord
from glo.workflows.train import TrainingRun

ROOT = Path(__file__).parent.parent
N, SIDE = 20, 8
# 20 examples in batches of 8: two whole steps and a partial one an epoch, 12 steps in all.
TINY = ["--width", "4", "--code-dim", "4", "--batch-size", "8", "--epochs", "4"]
PER_EPOCH, STEPS = 3, 12


def images(n: int = N, side: int = SIDE, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), dtype=np.uint8)


def samples(n: int = N, **kwargs: Any) -> Dataset:
    return Dataset(rows=images(n, **kwargs)[..., None], name="noise")


def settings(**changes: Any) -> Settings:
    tiny = {"width": 4, "code_dim": 4, "batch_size": 8, "epochs": 4, "checkpoint_seconds": 1e6}
    return Settings(**{**tiny, **changes})


def session(folder: Path, data: Dataset | None = None, **changes: Any) -> TrainingRun:
    data = samples() if data is None else data
    return TrainingRun(folder, data, settings(**changes), source="noise", preset="mnist")


def finish(folder: Path, data: Dataset | None = None, **changes: Any) -> list[Event]:
    """Start or go on with a run until it is over, and return what happened."""
    sitting = session(folder, data, **changes)
    try:
        return list(sitting.events())
    finally:
        sitting.close()


def save_data(folder: Path, array: NDArray[Any] | None = None, name: str = "data.npy") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / name, images() if array is None else array)
    return str(folder / name)


def train(data: str, out: Path, *more: str) -> int:
    return run(["train", data, *TINY, *more, "--out", str(out)])


class StopAt(reporter.Reporter):
    """Send this process a signal at the first event that `when` holds for."""

    def __init__(self, when: Callable[[Event], bool]) -> None:
        super().__init__()
        self.when = when
        self.stopped = False

    def show(self, event: Event) -> None:
        super().show(event)
        if not self.stopped and self.when(event):
            self.stopped = True
            signal.raise_signal(signal.SIGINT)

    def line(self, text: str) -> None: ...

    def step(self, record: StepRecord) -> None: ...

    def polishing(self, event: object) -> None: ...

    def fitting(self, event: object) -> None: ...

    def close(self) -> None: ...


def train_until(
    monkeypatch: pytest.MonkeyPatch, when: Callable[[Event], bool], data: str, out: Path, *more: str
) -> int:
    """Train from the command line with an interrupt at an event; 130 unless it never comes."""
    with monkeypatch.context() as patch:
        patch.setattr(reporter, "make_reporter", lambda: StopAt(when))
        return train(data, out, *more)


def at_step(number: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, StepRecord) and event.step == number


def at_epoch(number: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, EpochRecord) and event.epoch == number


def tensors(out: Path) -> dict[str, torch.Tensor]:
    """Return every tensor of the newest checkpoint: weights, codes, moments, sums."""
    found = newest_checkpoint(out / "checkpoint")
    assert found is not None
    return {
        f"{path.stem}/{name}": value
        for path in sorted(found.folder.glob("*.safetensors"))
        for name, value in load_file(path).items()
    }


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    """Assert that two sets of tensors are the same, bit for bit."""
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert value.dtype == two[name].dtype, name
        assert torch.equal(value, two[name]), name


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with what they hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def summary(out: Path) -> dict[str, Any]:
    values = json.loads((out / "summary.json").read_text("utf-8"))
    assert isinstance(values, dict)
    return values


def start_glo(words: list[str], **options: Any) -> "subprocess.Popen[str]":
    """Start `python -m glo` on this checkout with one thread."""
    source = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    env = {
        **os.environ,
        "PYTHONPATH": source,
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **options.pop("env", {}),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "glo", *words],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def flip(path: Path, place: float = 0.5) -> None:
    """Change one byte of a file, at a share of its length."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0x10
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    """Leave out the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
