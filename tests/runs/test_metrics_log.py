"""metrics.jsonl: nothing twice, nothing lost, whatever a kill left behind."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from glo.runs.metrics_log import MetricsLog, read_metrics_log
from glo.training.statistics import StepNumbers, StepRecord

NUMBERS = StepNumbers(loss=math.nan, code_gradient=0.5, decoder_gradient=2.0, skipped=0)
STEP = StepRecord(
    step=0, epoch=1, rows=4, decoder_lr=0.1, code_lr=0.1, seconds=0.1, read=lambda: NUMBERS
)


def write(path: Path, steps: range, at: int = 0) -> None:
    log = MetricsLog(every=1)
    training = SimpleNamespace(
        run=SimpleNamespace(folder=path.parent),
        steps_made=at,
        seconds=1.5,
    )
    log.on_train_begin(training)
    for step in steps:
        log.on_step(training, replace(STEP, step=step))


def steps(path: Path) -> list[int]:
    return [record["step"] for record in read_metrics_log(path)]


def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, range(1, 8))
    write(path, range(5, 7), at=4)
    assert steps(path) == [1, 2, 3, 4, 5, 6]
    assert {record["kind"] for record in read_metrics_log(path)} == {"step"}


@pytest.mark.parametrize("tail", [b'{"kind": "st', b"\0\0\0", b'{"step": \xff'])
def test_a_line_cut_short_is_left_out(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, range(1, 4))
    path.write_bytes(path.read_bytes() + tail)
    assert steps(path) == [1, 2, 3]
    write(path, range(4, 6), at=3)
    assert steps(path) == [1, 2, 3, 4, 5]
    assert len(path.read_text().splitlines()) == 5


def test_a_damaged_line_does_not_cost_those_after_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, range(1, 4))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-1], lines[2]]) + "\n")
    assert steps(path) == [1, 3]


def test_no_file_is_no_records(tmp_path: Path) -> None:
    assert read_metrics_log(tmp_path / "metrics.jsonl") == []
