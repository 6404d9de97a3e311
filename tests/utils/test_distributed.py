"""Several processes that train one run: real ones, over gloo, on this machine."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.builders import torchrun
from tests.utils.distributed_worker import RECIPE, drive

from glo.runs.checkpoint import newest_checkpoint, restore_training
from glo.runs.row_shards import read_rows
from glo.runs.run import open_run
from glo.training.factory import code_row
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup, _store_after_restart

_N = 41


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "vectors.npy"
    rng = np.random.default_rng(0)
    np.save(path, (rng.normal(size=(_N, 3)) @ rng.normal(size=(3, 6))).astype("float32"))
    return path


@pytest.fixture(scope="module")
def made(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two processes."""
    folder = tmp_path_factory.mktemp("made")
    done = torchrun("-m", "tests.utils.distributed_worker", vectors, folder, home=folder)
    assert done.returncode == 0, done.stderr
    # Warnings of torch: what it calls deprecated goes some day.
    assert "deprecated" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def two(made: Path) -> Path:
    return made / "two"


@pytest.fixture(scope="module")
def one(vectors: Path, made: Path) -> Path:
    """The same run by one process: the batches of two are those of two shards."""
    drive(str(vectors), made / "one", replace(RECIPE, shards=2), SINGLE_PROCESS)
    return made / "one"


def _epochs(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == "epoch"]


def test_two_processes_equal_one(one: Path, two: Path) -> None:
    first, second = open_run(one), open_run(two)
    assert second.codes.shape == (_N, 3)
    torch.testing.assert_close(second.codes, first.codes, rtol=1e-3, atol=1e-4)
    for name, weight in first.decoder.state_dict().items():
        torch.testing.assert_close(second.decoder.state_dict()[name], weight, rtol=1e-3, atol=1e-4)
    for a, b in zip(_epochs(one), _epochs(two), strict=True):
        for name in ("loss", "mse", "rows", "code_step", "code_travel", "code_norm"):
            assert b[name] == pytest.approx(a[name], rel=1e-3), name
    assert first.summary is not None
    assert second.summary is not None
    assert second.summary["mse"] == pytest.approx(first.summary["mse"], rel=1e-3)
    assert second.summary["processes"] == 2


def test_each_process_writes_its_rows(two: Path) -> None:
    checkpoint = newest_checkpoint(two / "checkpoint")
    assert checkpoint is not None
    names = {path.name for path in checkpoint.folder.iterdir()}
    assert {"rows-0-of-2.safetensors", "rows-1-of-2.safetensors"} <= names
    assert "rows-0-of-1.safetensors" not in names


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_row_shards_are_read_by_any_number_of_processes(two: Path, size: int) -> None:
    checkpoint = newest_checkpoint(two / "checkpoint")
    assert checkpoint is not None
    wanted = code_row(RECIPE)
    whole = read_rows(checkpoint.folder, 2, wanted)
    assert torch.equal(whole["codes"], open_run(two).codes)
    for rank in range(size):
        ranks = ProcessGroup(rank, size)
        own = read_rows(checkpoint.folder, 2, wanted, ranks=ranks)
        assert own.keys() == whole.keys()
        for name, value in own.items():
            assert torch.equal(value, whole[name][ranks.row_range(_N)]), name


def test_one_process_continues_a_run_of_two(
    vectors: Path, made: Path, two: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(made / "stopped", tmp_path / "run")
    drive(str(vectors), out, RECIPE, SINGLE_PROCESS)
    torch.testing.assert_close(open_run(out).codes, open_run(two).codes, rtol=1e-3, atol=1e-4)
    assert [e["epoch"] for e in _epochs(out)] == [1, 2, 3, 4]


def test_only_the_main_process_has_all_rows(made: Path) -> None:
    assert (made / "gathered-0.txt").read_text() == str(list(range(8)))
    assert (made / "gathered-1.txt").read_text() == "[]"


def test_two_processes_resume_bit_for_bit(made: Path, two: Path) -> None:
    again = open_run(made / "again")
    assert torch.equal(again.codes, open_run(two).codes)
    for name, weight in open_run(two).decoder.state_dict().items():
        assert torch.equal(again.decoder.state_dict()[name], weight), name


def test_all_processes_stop_at_the_same_step(made: Path) -> None:
    checkpoint = newest_checkpoint(made / "stopped" / "checkpoint")
    assert checkpoint is not None
    # Asked at step 7; they ask each other at every tenth.
    assert checkpoint.step == 10


def test_a_write_error_is_raised_by_all_processes(made: Path) -> None:
    assert "No space" in (made / "said-1.txt").read_text()
    assert "process 1: " in (made / "said-0.txt").read_text()
    checkpoint = newest_checkpoint(made / "full-0" / "checkpoint")
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.notes) == (10, ())
    assert not list((made / "full-0" / "checkpoint").glob(".writing-*"))


def test_a_user_error_is_printed_once_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "one.npy"
    np.save(path, np.ones((1, 4), "float32"))
    done = torchrun("-m", "glo", "train", path, "--out", tmp_path / "run", home=tmp_path)
    assert done.returncode != 0
    ours = [line for line in done.stderr.splitlines() if line.startswith("glo: ")]
    assert ours == [
        "glo: There are 1 examples for 2 processes; start at most as many processes as there are "
        "examples."
    ]
    assert not (tmp_path / "run").exists()


def test_single_process_communicates_nothing() -> None:
    assert SINGLE_PROCESS.all_gather_object({"a": 1}) == [{"a": 1}]
    assert SINGLE_PROCESS.any(True)
    assert not SINGLE_PROCESS.any(False)
    values = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(SINGLE_PROCESS.all_gather_rows(values, torch.tensor([2, 0])), values[[2, 0]])
    with pytest.raises(OSError, match="full"):
        SINGLE_PROCESS.raise_on_all(OSError("full"))


def test_a_checkpoint_of_two_becomes_a_training_of_one(two: Path) -> None:
    checkpoint = newest_checkpoint(two / "checkpoint")
    assert checkpoint is not None
    training = restore_training(checkpoint, open_run(two).settings)
    assert training.n == _N
    assert training.shards == 2
    assert torch.equal(training.codes, open_run(two).codes)


def test_restarted_processes_use_a_new_store_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    # What a process that is gone left there.
    server.set("default_pg/0//cpu//0/1", "nobody")
    about = {"USE_AGENT_STORE": "True", "RESTART_COUNT": "2"}
    environment = {f"TORCHELASTIC_{name}": value for name, value in about.items()}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.port)}
    environment |= {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = _store_after_restart()
    assert (found["rank"], found["world_size"]) == (1, 2)
    found["store"].set("here", "1")
    assert server.get("restart-2/here") == b"1"
    # On several machines the numbers may differ, and at first there is nothing to avoid.
    for name, value in (("LOCAL_WORLD_SIZE", "1"), ("TORCHELASTIC_RESTART_COUNT", "0")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert _store_after_restart() == {}
