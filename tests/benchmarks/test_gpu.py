"""Benchmark of a GPU: its parts keep to their time, and the figures of a killed part are kept."""

from pathlib import Path

import pytest
import torch

from benchmarks import gpu


def test_all_parts_end_within_eight_minutes() -> None:
    assert sum(part.limit for part in gpu.PARTS.values()) <= gpu.MAX_SECONDS < 480


def test_a_part_writes_its_figures(tmp_path: Path) -> None:
    gpu.measure("peak", torch.device("cpu"), gpu.QUICK, tmp_path / "peak")
    figures = gpu.read_figures(tmp_path / "peak")
    assert set(figures) == {"peak_float32_gflops", "peak_bfloat16_gflops"}
    assert min(figures.values()) > 0


def test_the_last_figures_before_the_end_count(tmp_path: Path) -> None:
    (tmp_path / "part").write_text('{"a": 1, "b": 2}\n{"a": 3}\n{"a": 4')
    assert gpu.read_figures(tmp_path / "part") == {"a": 3, "b": 2}
    assert gpu.read_figures(tmp_path / "none") == {}


def test_a_part_without_time_is_left_out(tmp_path: Path) -> None:
    assert gpu.run_part("peak", ["--device", "cpu"], tmp_path / "peak", 0) == "left out"
    assert gpu.run_part("peak", ["--device", "cpu"], tmp_path / "peak", 0.01) == "limit"


def test_shares() -> None:
    figures = {
        "peak_bfloat16_gflops": 100.0,
        "peak_float32_gflops": 10.0,
        "mnist_train_gflops": 20.0,
        "mnist_train_step_ms": 4.0,
        "mnist_compiled_train_step_ms": 3.0,
    }
    assert gpu.shares(figures, True) == {
        "mnist_train_over_peak_bfloat16": 0.2,
        "mnist_compiled_over_plain": 0.75,
    }
    assert gpu.shares(figures, False)["mnist_train_over_peak_float32"] == 2.0
    del figures["peak_bfloat16_gflops"], figures["mnist_train_step_ms"]
    assert gpu.shares(figures, True) == {}


@pytest.mark.parametrize("n", [1, 5])
def test_pictures_have_colors(n: int) -> None:
    rows = gpu.pictures(n, side=16).rows
    assert rows.shape == (n, 16, 16, 3)
    assert (rows.std(axis=(1, 2)) > 1).all()
