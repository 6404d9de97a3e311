"""Anomaly scores of a run, and its calibration examples."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from tests.builders import at_step, finish, flip, stop

from glo.data import Dataset
from glo.errors import UserError
from glo.metrics.anomaly import AnomalyScores
from glo.runs.reconstruction_errors import (
    CALIBRATION_FILE,
    read_calibration,
    write_calibration,
)
from glo.runs.run import Run, open_run
from glo.workflows.anomaly import fit_anomaly_model
from glo.workflows.edit_rows import forget_rows
from glo.workflows.encode import encode_dataset, prepare_search
from glo.workflows.fit_calibration import fit_calibration

N, N_UNSEEN = 300, 300


@pytest.fixture(scope="module")
def data(vectors: Callable[..., Dataset]) -> Dataset:
    return vectors(N + N_UNSEEN, features=12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> Run:
    folder = tmp_path_factory.mktemp("anomaly") / "run"
    small = {"code_dim": 3, "width": 16, "epochs": 100, "batch_size": 16, "device": "cpu"}
    finish(folder, data.subset(np.arange(N)), prior="gaussian", **small)
    # The training fits it; here tests do.
    (folder / CALIBRATION_FILE).unlink()
    return open_run(folder)


def unseen_of(data: Dataset) -> Dataset:
    return data.subset(np.arange(N, N + N_UNSEEN))


def scores(run: Run, samples: Dataset) -> AnomalyScores:
    found = [batch.inversion for batch in encode_dataset(run, samples, prepare_search(run))]
    codes, residuals = (torch.cat([getattr(f, n) for f in found]) for n in ("codes", "residuals"))
    return fit_anomaly_model(run).score(codes, residuals)


def distance(found: AnomalyScores) -> float:
    """Return the Kolmogorov-Smirnov distance of the residuals' percentiles from uniform ones."""
    return float(kstest(found.residual_percentile / 100, "uniform").statistic)


def test_examples_unlike_the_training_data_have_high_scores(run: Run, data: Dataset) -> None:
    ordinary = scores(run, unseen_of(data))
    # Off the plane, and on it but far away.
    noise = np.random.default_rng(1).normal(size=(20, 12)).astype("float32")
    strange = np.concatenate([unseen_of(data).rows[:20] + 2 * noise, 9 * data.rows[:20]])
    found = scores(run, Dataset(rows=strange, name="strange"))
    assert np.median(found.anomaly) > np.quantile(ordinary.anomaly, 0.99)
    assert found.anomaly.min() > np.median(ordinary.anomaly)


def test_calibration_lets_unseen_examples_be_ordinary(
    run: Run, data: Dataset, tmp_path: Path
) -> None:
    before = distance(scores(run, unseen_of(data)))
    weights = {k: v.clone() for k, v in run.decoder.state_dict().items()}
    samples = run.standardize(data.subset(np.arange(N)))
    copy = open_run(shutil.copytree(run.folder, tmp_path / "copy"))
    fit_calibration(copy, samples)
    first = read_calibration(copy.folder, 3)
    assert first is not None
    assert len(first[0]) == N // 5
    errors = run.errors
    assert errors is not None
    assert first[0].mean() > errors.mean()
    assert distance(scores(copy, unseen_of(data))) < before
    assert all(torch.equal(copy.decoder.state_dict()[k], v) for k, v in weights.items())
    fit_calibration(copy, samples)
    again = read_calibration(copy.folder, 3)
    assert again is not None
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))

    held_out = data.subset(np.arange(N, N + 150))
    fit_calibration(copy, samples, run.standardize(held_out))
    exact = read_calibration(copy.folder, 3)
    assert exact is not None
    assert len(exact[0]) == 150
    others = data.subset(np.arange(N + 150, N + N_UNSEEN))
    assert distance(scores(copy, others)) < 0.15


def test_rows_without_a_value_and_runs_of_few_rows(run: Run, data: Dataset, tmp_path: Path) -> None:
    copy = open_run(shutil.copytree(run.folder, tmp_path / "copy"))
    holes = data.rows[:N].copy()
    holes[::3] = np.nan
    fit_calibration(copy, run.standardize(Dataset(rows=holes, name="holes")))
    found = read_calibration(copy.folder, 3)
    assert found is not None
    assert 0 < len(found[0]) < N // 5
    (copy.folder / CALIBRATION_FILE).unlink()
    fit_calibration(copy, run.standardize(data.subset(np.arange(99))))
    assert not (copy.folder / CALIBRATION_FILE).exists()


def test_a_damaged_calibration_counts_as_none(tmp_path: Path) -> None:
    path = write_calibration(tmp_path, torch.rand(5), torch.rand(5, 3))
    assert read_calibration(tmp_path, 3) is not None
    assert read_calibration(tmp_path, 2) is None
    write_calibration(tmp_path, torch.rand(5), torch.full((5, 3), torch.nan))
    assert read_calibration(tmp_path, 3) is None
    write_calibration(tmp_path, torch.rand(5), torch.rand(5, 3))
    flip(path, 0.02)
    assert read_calibration(tmp_path, 3) is None
    path.unlink()
    assert read_calibration(tmp_path, 3) is None


def test_removed_rows_are_in_no_calibration(run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "copy")
    write_calibration(folder, torch.rand(5), torch.rand(5, 3))
    forget_rows(folder, torch.tensor([0]))
    assert not (folder / CALIBRATION_FILE).exists()
    assert np.isfinite(fit_anomaly_model(open_run(folder)).scorer.both.ordinary).all()


def test_runs_without_ordinary_examples_are_refused(run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "copy")
    (folder / "errors.safetensors").unlink()
    with pytest.raises(UserError, match="no errors of its examples"):
        fit_anomaly_model(open_run(folder))
    stop(tmp_path / "stopped", at_step(3))
    with pytest.raises(UserError, match="not finished"):
        fit_anomaly_model(open_run(tmp_path / "stopped"))
