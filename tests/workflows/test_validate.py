"""Validation while training: it measures, changes nothing, stops and restores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import (
    assert_same,
    at_epoch,
    at_step,
    finish,
    images,
    samples,
    session,
    stop,
    summary,
    tensors,
)

import glo
from glo.data import Dataset
from glo.errors import UserError
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import open_run
from glo.runs.training_data import hold_out
from glo.training.callbacks import Message
from glo.workflows import validate
from glo.workflows.validate import held_out_error

# Noise is memorized at once, so the first check is the best.
FEW: dict[str, Any] = {"validation": 0.2, "epochs": 8}
# 16 training rows are 2 steps an epoch.
PER_EPOCH = 2


@pytest.fixture(autouse=True)
def check_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every epoch, whatever it costs."""
    monkeypatch.setattr(validate, "check_interval", lambda n, held_out: 1)


def errors_of(folder: Path) -> list[float]:
    records = read_metrics_log(folder / "metrics.jsonl")
    return [record["validation_mse"] for record in records if "validation_mse" in record]


def script(monkeypatch: pytest.MonkeyPatch, errors: list[float]) -> None:
    """Let the checks after the epochs have these errors."""
    monkeypatch.setattr(
        validate,
        "held_out_error",
        lambda state, held_out: errors[state.step // state.steps_per_epoch - 1],
    )


def test_training_is_the_same_as_without(tmp_path: Path) -> None:
    finish(tmp_path / "checked", **FEW)
    training, held_out = hold_out(samples(), 0.2, seed=0)
    assert (len(training), len(held_out)) == (16, 4)
    finish(tmp_path / "plain", training, epochs=8)
    np.save(tmp_path / "held_out.npy", held_out.rows[..., 0])
    finish(tmp_path / "given", training, epochs=8, validation=str(tmp_path / "held_out.npy"))
    plain = tensors(tmp_path / "plain")
    assert_same(tensors(tmp_path / "checked"), plain)
    assert_same(tensors(tmp_path / "given"), plain)
    assert errors_of(tmp_path / "given") == errors_of(tmp_path / "checked")
    assert errors_of(tmp_path / "plain") == []


def test_a_decoder_that_draws_numbers_draws_the_same(tmp_path: Path) -> None:
    class Dropping(torch.nn.Module):
        def __init__(self, code_dim: int, shape: tuple[int, ...]) -> None:
            super().__init__()
            self.shape = shape
            size = int(np.prod(shape))
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(code_dim, size), torch.nn.Dropout(0.5), torch.nn.Tanh()
            )

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.layers(codes).view(-1, *self.shape)
            return result

    training, _ = hold_out(samples(), 0.2, seed=0)
    codes = []
    for data, fraction in ((samples(), 0.2), (training, None)):
        torch.manual_seed(3)
        run = glo.train(
            data,
            settings=glo.Settings(code_dim=2, epochs=3, batch_size=8, validation=fraction),
            decoder=Dropping,
            run_dir=tmp_path / f"{fraction}",
            verbose=0,
        )
        codes.append(run.codes)
    assert torch.equal(*codes)


def test_figures_of_a_run(tmp_path: Path) -> None:
    events = finish(tmp_path / "run", **FEW)
    errors = errors_of(tmp_path / "run")
    assert len(errors) == 8
    assert [value.validation_mse for hook, value in events if hook == "on_epoch_end"] == errors
    figures = summary(tmp_path / "run")["validation"]
    assert figures["n"] == 4
    assert figures["best_mse"] == min(errors)
    assert figures["best_epoch"] == 1 + errors.index(min(errors))
    assert figures["epochs"] == summary(tmp_path / "run")["epochs"] == 8
    assert figures["mse"] == pytest.approx(errors[-1], rel=0.1)


def test_rows_and_fingerprint_are_those_of_training(tmp_path: Path) -> None:
    np.save(tmp_path / "noise.npy", images())
    run = glo.train(
        tmp_path / "noise.npy",
        settings=glo.Settings(width=4, code_dim=4, epochs=1, validation=0.2, prior="gaussian"),
        run_dir=tmp_path / "run",
        verbose=0,
    )
    run = open_run(tmp_path / "run")
    training, held_out = hold_out(glo.open_source(tmp_path / "noise.npy"), 0.2, seed=0)
    assert run.data.n == len(run.codes) == 16
    assert (run.data.fingerprint, run.data.held_out) == (training.fingerprint, held_out.fingerprint)
    assert training.ids is not None
    assert run.row_ids.of(6) == str(training.ids[6]) == "7"
    for data in (None, tmp_path / "noise.npy", training):
        assert np.array_equal(run.open_data(data, command="glo").rows, training.rows)
    assert glo.open_source(tmp_path / "noise.npy").fingerprint in run.data.fingerprints


def test_the_seed_chooses_the_rows() -> None:
    ids = [hold_out(samples(200), 0.1, seed=seed)[1].ids for seed in (0, 0, 1)]
    assert ids[0] is not None
    assert ids[1] is not None
    assert ids[0].tolist() == ids[1].tolist() == sorted(ids[0].tolist())
    assert ids[0].tolist() != ids[2].tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("patience", [None, 2])
def test_a_run_that_is_stopped_anywhere_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int | None
) -> None:
    script(monkeypatch, [0.5, 0.4, 0.3, 0.2, 0.3, 0.3, 0.1, 0.1])
    choices = {**FEW, "patience": patience}
    finish(tmp_path / "whole", **choices)
    out = tmp_path / "run"
    for step in range(1, 13, 2):
        stop(out, at_step(step), **choices)
    stop(out, at_epoch(6), **choices)
    stop(out, lambda hook, value: hook == "on_refine", **choices)
    stop(out, lambda hook, value: hook == "on_fit", **choices)
    finish(out, **choices)
    assert_same(tensors(out), tensors(tmp_path / "whole"))
    assert errors_of(out) == errors_of(tmp_path / "whole")
    keys = ("validation", "epochs", "steps", "mse", "diagnosis")
    assert [summary(out)[k] for k in keys] == [summary(tmp_path / "whole")[k] for k in keys]


@pytest.mark.parametrize("epoch", [3, 4, 5, 6])
def test_a_kill_does_not_lose_the_best_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    script(monkeypatch, [0.5, 0.4, 0.2, 0.3, 0.3, 0.3, 0.1, 0.1])
    choices = {**FEW, "patience": 3}
    finish(tmp_path / "whole", **choices)
    stop(tmp_path / "run", at_epoch(epoch), save=False, **choices)
    finish(tmp_path / "run", checkpoint_seconds=0.0, **choices)
    assert_same(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))


def test_patience_ends_with_the_best_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, [0.5, 0.2, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1])
    out = tmp_path / "run"
    events = finish(out, **FEW, patience=3)
    assert len(errors_of(out)) == 5
    figures = summary(out)
    assert (figures["epochs"], figures["steps"]) == (2, 2 * PER_EPOCH)
    assert (figures["validation"]["best_epoch"], figures["validation"]["epochs"]) == (2, 5)
    assert any("epoch 2" in v.text for hook, v in events if hook == "on_message" and not v.warning)
    # Another run that was stopped there has the same decoder, but for its batch norm.
    stop(tmp_path / "short", at_epoch(2), **FEW)
    state = session_state(tmp_path / "short")
    weights = {f"decoder/{name}": value for name, value in state.items()}
    found = tensors(out)
    assert weights
    assert all(torch.equal(found[name], value) for name, value in weights.items())
    names = sorted(path.name for path in (out / "checkpoint").iterdir())
    assert names == ["final", f"step-{5 * PER_EPOCH:012d}"]


def session_state(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the newest checkpoint."""
    run = open_run(folder)
    return {name: value.detach() for name, value in run.decoder.named_parameters()}


def test_the_finished_run_has_the_error_of_the_best_check(tmp_path: Path, blobs: Any) -> None:
    recipe = {"epochs": 60, "validation": 0.25, "patience": 4, "code_dim": 6, "decoder_lr": 0.02}
    finish(tmp_path / "run", blobs(24), **recipe)
    figures = summary(tmp_path / "run")["validation"]
    assert figures["best_epoch"] < figures["epochs"] < 60
    assert figures["mse"] == pytest.approx(figures["best_mse"], rel=0.1)


def test_without_improvement_at_the_end_patience_restores_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, [0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.2, 0.3])
    finish(tmp_path / "run", **FEW, patience=5)
    assert (summary(tmp_path / "run")["epochs"], len(errors_of(tmp_path / "run"))) == (6, 8)
    script(monkeypatch, [0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.09, 0.08])
    events = finish(tmp_path / "other", **FEW, patience=5)
    assert summary(tmp_path / "other")["epochs"] == 8
    assert not [v for hook, v in events if hook == "on_message" and "ends with" in v.text]


def test_memorization_is_named_once_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, [0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3])

    def sentences(out: Path, **choices: Any) -> list[str]:
        events = finish(out, blobs_like(), **FEW, **choices)
        messages: list[Message] = [value for hook, value in events if hook == "on_message"]
        return [each.text for each in messages if "memorizes" in each.text]

    first, last = sentences(tmp_path / "run")
    assert "patience" in first
    assert "epoch 1 to 8" in last
    assert last in summary(tmp_path / "run")["diagnosis"]
    (only,) = sentences(tmp_path / "stopped", patience=3)
    assert "patience" not in only


def blobs_like() -> Dataset:
    """Return 20 images that are easy to learn."""
    ramp = np.linspace(0, 255, 20)[:, None, None, None] * np.ones((1, 8, 8, 1))
    return Dataset(rows=ramp.astype(np.uint8), name="ramp")


def test_a_check_leaves_the_state_as_it_was(trained: Any, blobs: Any) -> None:
    state, _ = trained
    state.decoder.train()
    before = {name: value.clone() for name, value in state.decoder.state_dict().items()}
    codes, random = state.codes.clone(), torch.get_rng_state()
    error = held_out_error(state, blobs(12, seed=1))
    assert 0 < error < 1
    assert error == held_out_error(state, blobs(12, seed=1))
    assert state.decoder.training
    assert all(weight.requires_grad for weight in state.decoder.parameters())
    assert all(torch.equal(v, before[name]) for name, v in state.decoder.state_dict().items())
    assert torch.equal(codes, state.codes)
    assert torch.equal(random, torch.get_rng_state())


def test_tables_are_standardized_by_their_training_rows(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 4)) * [1, 10, 100, 1000] + 5
    rows[::7, 1] = np.nan
    rows[3] = np.nan
    data = Dataset(rows=rows.astype(np.float32), name="table")
    finish(tmp_path / "run", data, epochs=3, validation=0.3)
    errors = errors_of(tmp_path / "run")
    assert len(errors) == 3
    assert all(0 < error < 3 for error in errors)


def test_a_path_is_read_like_the_training_data(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "split.npz",
        x_train=images(20, side=8),
        x_test=images(6, side=12, seed=1)[:, :8, :8],
    )
    run = glo.train(
        tmp_path / "split.npz",
        settings=glo.Settings(
            width=4, code_dim=4, epochs=1, prior="gaussian", validation=str(tmp_path / "split.npz")
        ),
        run_dir=tmp_path / "run",
        verbose=0,
    )
    assert run.data.n == 20
    assert (run.summary or {})["validation"]["n"] == 6


def test_examples_from_python(tmp_path: Path) -> None:
    settings = glo.Settings(width=4, code_dim=4, epochs=1, prior="gaussian")
    where: dict[str, Any] = {"settings": settings, "verbose": 0}
    run = glo.train(images(), validation=images(5, seed=1), run_dir=tmp_path / "a", **where)
    assert (run.summary or {})["validation"]["n"] == 5
    assert run.settings.validation is None
    run = glo.train(images(), validation=0.1, run_dir=tmp_path / "b", **where)
    assert (run.data.n, run.settings.validation) == (18, 0.1)
    with pytest.raises(UserError, match="other validation examples"):
        glo.train(images(), run_dir=tmp_path / "a", **where)
    with pytest.raises(UserError, match=r"validation was 0\.1 and is now 0\.2"):
        glo.train(images(), validation=0.2, run_dir=tmp_path / "b", **where)


@pytest.mark.parametrize(
    ("choices", "part"),
    [
        ({"validation": 0.95}, "validation is 0.95"),
        ({"validation": 1e-9, "limit": 2}, "leaves 1 of 2"),
        ({"validation": "no/such/folder"}, "no/such/folder"),
        ({"patience": 3}, "patience is 3"),
    ],
)
def test_mistakes(tmp_path: Path, choices: dict[str, Any], part: str) -> None:
    data = samples(choices.pop("limit", 20))
    with pytest.raises(UserError, match=part.replace(".", r"\.")):
        session(tmp_path / "run", data, **choices)
    assert not (tmp_path / "run").exists()


def test_examples_that_are_no_validation(tmp_path: Path) -> None:
    np.save(tmp_path / "same.npy", images())
    np.save(tmp_path / "vectors.npy", np.zeros((4, 3), np.float32))
    with pytest.raises(UserError, match="training examples themselves"):
        session(tmp_path / "run", validation=str(tmp_path / "same.npy"))
    with pytest.raises(UserError):
        session(tmp_path / "run", validation=str(tmp_path / "vectors.npy"))
    wide = Dataset(rows=np.zeros((4, 8, 16, 1), np.uint8), name="wide")
    with pytest.raises(UserError, match="1 x 8 x 16"):
        validate.open_validation(samples(), glo.Settings(), wide)


def test_a_best_checkpoint_that_is_damaged_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, [0.1] + [0.5] * 7)
    choices = {**FEW, "patience": 3}
    stop(tmp_path / "run", at_step(7), **choices)
    (tmp_path / "run" / "checkpoint" / "step-000000000002" / "decoder.safetensors").unlink()
    with pytest.raises(UserError, match="step-000000000002"):
        finish(tmp_path / "run", **choices)
