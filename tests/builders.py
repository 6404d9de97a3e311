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

from glo.cli.app import run
from glo.config.settings import Settings
from glo.data import Dataset
from glo.imaging.previews import Previews
from glo.runs.checkpoint import newest_checkpoint
from glo.runs.metrics_log import MetricsLog
from glo.training.callbacks import Callback, Message
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


Event = tuple[str, Any]
When = Callable[[str, Any], bool]


class Recorder(Callback):
    """Callback that records every hook but `on_checkpoint` with its argument."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_train_begin(self, training: Any) -> None:
        self.events.append(("on_train_begin", training.state.step))

    def on_step(self, training: Any, record: StepRecord) -> None:
        self.events.append(("on_step", record))

    def on_epoch_end(self, training: Any, record: EpochRecord) -> None:
        self.events.append(("on_epoch_end", record))

    def on_refine(self, training: Any, rows: int) -> None:
        self.events.append(("on_refine", rows))

    def on_fit(self, training: Any, name: str, share: float) -> None:
        self.events.append(("on_fit", (name, share)))

    def on_message(self, training: Any, message: Message) -> None:
        self.events.append(("on_message", message))


class Killed(Exception):
    """The training process came to a sudden end."""


class ActAt(Recorder):
    """Callback that calls `action(training)` once, at the first event that `when` holds for."""

    def __init__(self, when: When, action: Callable[[Any], None]) -> None:
        super().__init__()
        self.when, self.action, self.acted = when, action, False

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if not name.startswith("on_") or name in ("on_checkpoint", "on_train_end"):
            return method

        def act(training: Any, *args: Any) -> None:
            method(training, *args)
            if not self.acted and self.when(*self.events[-1]):
                self.acted = True
                self.action(training)

        return act


def session(
    folder: Path, data: Dataset | None = None, *callbacks: object, **changes: Any
) -> TrainingRun:
    data = samples() if data is None else data
    hooks = [MetricsLog(every=1), Previews(), *callbacks]
    return TrainingRun(
        folder, data, settings(**changes), source="noise", preset="mnist", callbacks=hooks
    )


def finish(folder: Path, data: Dataset | None = None, **changes: Any) -> list[Event]:
    """Start or resume a run until it is finished, and return the events."""
    recorder = Recorder()
    training = session(folder, data, recorder, **changes)
    try:
        assert training.fit()
    finally:
        training.close()
    return recorder.events


def stop(
    folder: Path, when: When, data: Dataset | None = None, *, save: bool = True, **changes: Any
) -> None:
    """Start or resume a run and stop it at an event: asked to, or killed without a save."""

    def kill(training: TrainingRun) -> None:
        raise Killed

    def ask(training: TrainingRun) -> None:
        training.should_stop = True

    training = session(folder, data, ActAt(when, ask if save else kill), **changes)
    try:
        assert not training.fit()
    except Killed:
        assert not save
    finally:
        training.close()


def save_data(folder: Path, array: NDArray[Any] | None = None, name: str = "data.npy") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / name, images() if array is None else array)
    return str(folder / name)


def train(data: str, out: Path, *more: str) -> int:
    return run(["train", data, *TINY, *more, "--out", str(out)])


def train_until(
    monkeypatch: pytest.MonkeyPatch, when: When, data: str, out: Path, *more: str
) -> int:
    """Train from the command line with an interrupt at an event; 130 unless it never comes."""
    with monkeypatch.context() as patch:
        patch.setattr(
            "glo.workflows.progress.ProgressBar",
            lambda: ActAt(when, lambda training: signal.raise_signal(signal.SIGINT)),
        )
        return train(data, out, *more)


def at_step(number: int) -> When:
    return lambda hook, value: hook == "on_step" and value.step == number


def at_epoch(number: int) -> When:
    return lambda hook, value: hook == "on_epoch_end" and value.epoch == number


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


def torchrun(*words: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a module or script by two processes of one thread each."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": "1",
        "HOME": str(home),
    }
    return subprocess.run(
        [*command, "--nproc-per-node", "2", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
