"""Runs that begin with the decoder of another one."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import finish as train

import glo
from glo.config.settings import Settings
from glo.data import Dataset
from glo.errors import UserError
from glo.runs.run import open_run
from glo.training.evaluation import evaluate
from glo.training.factory import load_standardizer

QUICK: dict[str, Any] = {"code_dim": 3, "width": 8, "prior": "gaussian", "precision": "float32"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, blobs: Callable[..., Dataset]) -> Path:
    folder = tmp_path_factory.mktemp("source") / "run"
    train(folder, blobs(80), epochs=60, **QUICK)
    return folder


def start(folder: Path, samples: Dataset, source: Path, **settings: Any) -> float:
    """Train for one epoch with a fixed decoder, and return the error."""
    values = {"start": str(source), "epochs": 1, "decoder_lr": 0.0, "refine_passes": 0, **settings}
    train(folder, samples, **{**QUICK, **values})
    run = open_run(folder)
    return evaluate(run.decoder, run.codes, run.standardize(samples), run.settings)


@pytest.mark.parametrize("encoder", ["on", "off"])
def test_decoder_and_codes_are_taken_over(
    tmp_path: Path, blobs: Callable[..., Dataset], source: Path, encoder: str
) -> None:
    other = blobs(20, seed=7)
    if encoder == "on":
        train(tmp_path / "source", blobs(80), epochs=60, encoder="on", **QUICK)
        source = tmp_path / "source"
    warm = start(tmp_path / "warm", other, source)
    train(tmp_path / "cold", other, epochs=1, refine_passes=0, **QUICK)
    cold = open_run(tmp_path / "cold")
    assert warm < 0.5 * evaluate(cold.decoder, cold.codes, other, cold.settings)
    # A decoder without a learning rate keeps its weights.
    weights, earlier = (open_run(f).decoder.parameters() for f in (tmp_path / "warm", source))
    assert all(torch.equal(one, two) for one, two in zip(weights, earlier, strict=True))


def test_the_source_is_not_needed_to_resume(tmp_path: Path, blobs: Callable[..., Dataset]) -> None:
    train(tmp_path / "source", blobs(40), epochs=3, **QUICK)
    settings = Settings(start=str(tmp_path / "source"), epochs=4, batch_size=8, **QUICK)
    whole = glo.train(blobs(30, seed=3), settings=settings, run_dir=tmp_path / "a", verbose=0)

    class Stop(glo.Callback):
        def on_step(self, training: Any, record: Any) -> None:
            training.should_stop = record.step == 6

    samples = blobs(30, seed=3)
    glo.train(samples, settings=settings, run_dir=tmp_path / "b", callbacks=[Stop()], verbose=0)
    (tmp_path / "source").rename(tmp_path / "gone")
    resumed = glo.train(samples, settings=settings, run_dir=tmp_path / "b", verbose=0)
    assert torch.equal(whole.codes, resumed.codes)
    for one, two in zip(whole.decoder.parameters(), resumed.decoder.parameters(), strict=True):
        assert torch.equal(one, two)


def test_tables_keep_their_own_units(tmp_path: Path, vectors: Callable[..., Dataset]) -> None:
    rows = vectors(60).rows
    table = {**QUICK, "decoder": "mlp"}
    train(tmp_path / "source", Dataset(rows=rows, name="one"), epochs=40, **table)
    other = Dataset(rows=(vectors(30, seed=0).rows * 10 + 5).astype("float32"), name="two")
    error = start(tmp_path / "warm", other, tmp_path / "source", **table)
    assert error < 0.5
    columns = load_standardizer(open_run(tmp_path / "warm").decoder)
    assert columns is not None
    torch.testing.assert_close(columns.shift, torch.from_numpy(other.rows.mean(0)))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"code_dim": 4}, "codes of size 3"),
        ({"width": 4}, "width 8"),
        ({"constraint": "sphere"}, "constraint ball"),
        ({"start": "no/such"}, "no/such"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, blobs: Callable[..., Dataset], source: Path, changes: dict[str, Any], word: str
) -> None:
    settings = replace(Settings(start=str(source), epochs=1, **QUICK), **changes)
    with pytest.raises(UserError, match=word):
        glo.train(blobs(20), settings=settings, run_dir=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run" / "config.toml").exists()


def test_other_shapes_unfinished_runs_and_the_run_itself_are_refused(
    tmp_path: Path, blobs: Callable[..., Dataset], source: Path
) -> None:
    settings = Settings(start=str(source), epochs=1, **QUICK)
    with pytest.raises(UserError, match="shape 1, 8, 8"):
        glo.train(blobs(20, side=16), settings=settings, run_dir=tmp_path / "run", verbose=0)
    shutil.copytree(source, tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "checkpoint")
    with pytest.raises(UserError, match="no checkpoint"):
        glo.train(
            blobs(20),
            settings=replace(settings, start=str(tmp_path / "part")),
            run_dir=tmp_path / "run",
            verbose=0,
        )
    itself = replace(settings, start=str(tmp_path / "new"))
    with pytest.raises(UserError, match="itself"):
        glo.train(blobs(20), settings=itself, run_dir=tmp_path / "new", verbose=0)
