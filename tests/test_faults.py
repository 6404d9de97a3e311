"""The fault harness with small counts, and its comparison of run folders."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.faults.case import difference
from tests.builders import ROOT, finish, flip

_COUNTS = {"kills": 4, "times": 1, "files": 1, "torchrun": 0}
_LIGHT = ["--parts", "kills", "disk", "--kills", "1", "--times", "1"]
_FAULTS = [
    "kill -9 inside a save",
    "kill -9 at a random moment",
    "SIGTERM",
    "SIGINT",
    "SIGINT twice",
    "a flipped byte",
    "a torn file",
    "a removed file",
    "a removed shard of two processes",
    "an edited manifest",
    "a flipped byte in all checkpoints (refused)",
    "files that may not grow (RLIMIT_FSIZE)",
    "two writers",
    "NaN in the data (missing)",
    "infinity in the data (refused)",
    "NaN in a gradient",
    "NaN in a gradient, then kill -9",
    "NaN in a code",
    "NaN in a code, then kill -9",
    "NaN in all gradients (stopped)",
    "kill -9 of one process of two",
    "SIGTERM to one process of two",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    counts = [word for name, count in _COUNTS.items() for word in (f"--{name}", str(count))]
    return run_harness(tmp_path_factory.mktemp("faults"), counts)


def run_harness(out: Path, words: list[str]) -> dict[str, Any]:
    """Return the results of the harness. It forks, so it runs in a process without threads."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", *words, "--out", out, "--work-folder", out],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert sorted(path.name for path in out.iterdir()) == ["faults.json", "faults.md"]
    values: dict[str, Any] = json.loads((out / "faults.json").read_text("utf-8"))
    return values


def test_kills_and_full_disks_are_survived(tmp_path: Path) -> None:
    results = run_harness(tmp_path, _LIGHT)
    assert len(results["faults"]) >= 2
    assert results["failures"] == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", _FAULTS)
def test_fault_is_survived(table: dict[str, Any], fault: str) -> None:
    (row,) = [row for row in table["faults"] if row["fault"] == fault]
    assert row["survived"] == row["tried"] > 0
    assert row["lost"] == 0


@pytest.mark.slow
def test_all_faults_are_listed(table: dict[str, Any]) -> None:
    # A small file system cannot be mounted everywhere.
    assert {row["fault"] for row in table["faults"]} - {"a full disk (tmpfs)"} == set(_FAULTS)
    assert table["failures"] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    finish(out)
    return out


def _change_mse(out: Path) -> None:
    path = out / "summary.json"
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(values | {"mse": values["mse"] * 1.01}, indent=2) + "\n", "utf-8")


def _drop_a_record(out: Path) -> None:
    path = out / "metrics.jsonl"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")


# Expected part of the reported difference: the change of the run folder.
_CHANGES: dict[str, Callable[[Path], Any]] = {
    "damaged": lambda out: flip(out / "checkpoint" / "final" / "decoder.safetensors"),
    "errors of errors.safetensors differs": lambda out: flip(out / "errors.safetensors", 1.0),
    "summary.json differs": _change_mse,
    "metrics.jsonl differs": _drop_a_record,
    "left behind": lambda out: (out / ".rows-0-of-2").mkdir(),
    "missing": lambda out: (out / "prior" / "gaussian.safetensors").unlink(),
}


@pytest.mark.parametrize("message", _CHANGES)
def test_difference_is_reported(whole: Path, tmp_path: Path, message: str) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    assert difference(whole, out) == ""
    _CHANGES[message](out)
    assert message in difference(whole, out)


def test_other_weights_are_reported(whole: Path, tmp_path: Path) -> None:
    finish(tmp_path / "run", seed=1)
    assert "decoder.safetensors differs" in difference(whole, tmp_path / "run")
