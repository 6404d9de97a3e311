"""Encoders of runs whose rows change, and of runs that were stopped."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import finish as train

from glo.runs.run import ENCODER_FILE, open_run
from glo.workflows.edit_rows import add_rows, forget_rows

QUICK: dict[str, Any] = {"code_dim": 3, "epochs": 2, "prior": "gaussian", "precision": "float32"}


@pytest.fixture
def folder(tmp_path: Path, blobs: Any) -> Path:
    train(tmp_path / "run", blobs(40), encoder="on", **QUICK)
    return tmp_path / "run"


def encoder_of(folder: Path) -> bytes:
    return (folder / ENCODER_FILE).read_bytes()


def test_it_is_the_same_in_the_same_run(folder: Path, tmp_path: Path, blobs: Any) -> None:
    train(tmp_path / "again", blobs(40), encoder="on", **QUICK)
    assert encoder_of(folder) == encoder_of(tmp_path / "again")


def test_without_it_the_rest_of_a_run_is_the_same(folder: Path, tmp_path: Path, blobs: Any) -> None:
    train(tmp_path / "off", blobs(40), encoder="off", **QUICK)
    with_it, without = open_run(folder), open_run(tmp_path / "off")
    assert torch.equal(with_it.codes, without.codes)
    assert torch.equal(with_it.sample(3, seed=1), without.sample(3, seed=1))
    assert without.encoder is None


def test_added_rows_keep_it_unless_the_decoder_is_trained(folder: Path, blobs: Any) -> None:
    before = encoder_of(folder)
    add_rows(folder, blobs(3, seed=5), source="a", names=["a", "b", "c"])
    assert encoder_of(folder) == before
    assert "encoder" in (open_run(folder).summary or {})
    add_rows(folder, blobs(3, seed=6), source="b", names=["d", "e", "f"], epochs=1)
    assert open_run(folder).encoder is None
    assert "encoder" not in (open_run(folder).summary or {})


@pytest.mark.parametrize("refit", [True, False])
def test_forgotten_rows_are_not_in_it(folder: Path, *, refit: bool) -> None:
    before = encoder_of(folder)
    forget_rows(folder, torch.tensor([1, 2]), refit=refit)
    assert ("encoder" in (open_run(folder).summary or {})) == refit
    if refit:
        assert encoder_of(folder) != before
    else:
        assert not (folder / ENCODER_FILE).exists()
