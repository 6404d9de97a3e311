"""Encoding with the options of a run, of batches and whole datasets."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import finish as train
from torch import Tensor

from glo.data import Dataset
from glo.errors import UserError
from glo.inversion import AveragePool, InitialCodes, Inversion, InversionOptions, invert
from glo.losses import L1Loss, MSELoss
from glo.runs.run import Run, open_run
from glo.workflows.encode import encode, encode_dataset, encoder_codes, prepare_search

QUICK: dict[str, Any] = {"code_dim": 3, "epochs": 3, "prior": "gaussian", "precision": "float32"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, blobs: Any) -> Run:
    folder = tmp_path_factory.mktemp("encoded") / "run"
    train(folder, blobs(60), constraint="sphere", **QUICK)
    return open_run(folder)


@pytest.fixture(scope="module")
def initial(run: Run) -> InitialCodes:
    return prepare_search(run, device="cpu")


@pytest.fixture(scope="module")
def x(blobs: Any) -> Tensor:
    return every(blobs(10, seed=1))


def every(dataset: Dataset) -> Tensor:
    return dataset.batch(torch.arange(len(dataset)))


def left_hidden() -> Tensor:
    mask = torch.ones(1, 1, 8, 8)
    mask[..., :4] = 0.0
    return mask


def assert_same(one: Inversion, two: Inversion) -> None:
    for name, value in vars(one).items():
        assert torch.equal(value, getattr(two, name)), name


def test_whole_examples_have_no_prior_and_the_constraint_of_the_run(
    run: Run, initial: InitialCodes, x: Tensor
) -> None:
    options = InversionOptions(constraint="sphere", precision="float32")
    inversion = encode(run, x, initial)
    assert_same(inversion, invert(run.decoder, x, initial, options=options))
    torch.testing.assert_close(inversion.codes.norm(dim=1), torch.ones(10))


def test_whole_examples_have_the_loss_of_the_run(tmp_path: Path, blobs: Any, x: Tensor) -> None:
    train(tmp_path / "run", blobs(60), loss="l1", **QUICK)
    run = open_run(tmp_path / "run")
    initial = prepare_search(run, device="cpu")
    inversion = encode(run, x, initial)
    options = InversionOptions(loss=L1Loss(), precision="float32")
    expected = invert(run.decoder, x, initial, options=options)
    torch.testing.assert_close(inversion.codes, expected.codes)
    torch.testing.assert_close(inversion.residuals, MSELoss()(inversion.reconstructions, x))


@pytest.mark.parametrize("degradation", ["mask", "operator", "noise"])
def test_partial_observations_have_the_local_prior(
    run: Run, initial: InitialCodes, x: Tensor, degradation: str
) -> None:
    assert run.summary is not None
    noise = max(2 * run.summary["mse"] ** 0.5, 0.125 * initial.examples_spread)
    pool = AveragePool(factor=2)
    target = pool(x) if degradation == "operator" else x
    mask = left_hidden() if degradation == "mask" else None
    arguments: dict[str, Any] = {
        "mask": {},
        "operator": {"operator": pool},
        "noise": {"noise": 0.3},
    }[degradation]
    inversion = encode(run, target, initial, mask=mask, n_solutions=3, **arguments)
    common: dict[str, Any] = {"n_solutions": 3, "constraint": "sphere", "precision": "float32"}
    options = InversionOptions(**common, prior="local", **{"noise": noise, **arguments})
    assert_same(inversion, invert(run.decoder, target, initial, mask=mask, options=options))
    options = InversionOptions(**common, operator=arguments.get("operator"))
    free = invert(run.decoder, target, initial, mask=mask, options=options)
    assert not torch.equal(free.codes, inversion.codes)


def test_the_noise_of_an_overfitted_run_has_a_lower_bound(
    initial: InitialCodes, x: Tensor, tmp_path: Path, blobs: Any
) -> None:
    train(tmp_path / "run", blobs(60), **QUICK)
    run, mask = open_run(tmp_path / "run"), left_hidden()
    (run.folder / "summary.json").write_text('{"mse": 0.0}')
    inversion = encode(run, x, initial, mask=mask)
    (run.folder / "summary.json").unlink()
    assert_same(inversion, encode(run, x, initial, mask=mask))


def test_the_callback_receives_the_codes_so_far(run: Run, initial: InitialCodes, x: Tensor) -> None:
    reports: list[Any] = []
    inversion = encode(run, x[:1], initial, callback=reports.append)
    assert [int(report.steps) for report in reports] == list(range(1, int(inversion.steps) + 1))
    residuals = torch.cat([report.residuals for report in reports])
    assert bool((residuals.diff() <= 0).all())
    assert torch.equal(reports[-1].codes, inversion.codes)
    assert torch.equal(reports[-1].residuals, inversion.residuals)
    with torch.no_grad():
        errors = [(run.decoder(report.codes) - x[:1]).square().mean() for report in reports]
    torch.testing.assert_close(torch.stack(errors), residuals, atol=1e-6, rtol=1e-3)


def test_a_dataset_is_encoded_in_order(
    run: Run, initial: InitialCodes, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.workflows.encode._CHUNK", 64)
    many = blobs(10, seed=1).subset(torch.arange(150) % 10)
    rows, progress = torch.arange(149, 9, -1), []
    batches = list(
        encode_dataset(
            run, many, initial, rows=rows, callback=lambda *report: progress.append(report)
        )
    )
    assert [len(batch.rows) for batch in batches] == [64, 64, 12]
    assert torch.equal(torch.cat([batch.rows for batch in batches]), rows)
    for batch in batches:
        assert batch.mask is None
        assert torch.equal(batch.target, many.batch(batch.rows))
        torch.testing.assert_close(batch.inversion.reconstructions, batch.target, atol=2.0, rtol=0)
    done = [report[1] for report in progress]
    assert done == sorted(done)
    assert (0 <= done[0] < 64, done[-1]) == (True, 140)
    assert {report[2] for report in progress} == {140}


def test_missing_values_of_vectors_are_masked_and_columns_standardized(
    tmp_path: Path, vectors: Any
) -> None:
    train(tmp_path / "run", vectors(200), decoder="mlp", **QUICK)
    run = open_run(tmp_path / "run")
    rows = vectors(20).rows.copy()
    rows[::2, 1] = float("nan")
    dataset = Dataset(rows=rows, name="vectors")
    initial = prepare_search(run, device="cpu")
    (batch,) = encode_dataset(run, dataset, initial)
    assert batch.mask is not None
    assert batch.mask[:, 1].tolist() == [0.0, 1.0] * 10
    assert torch.equal(batch.target, every(run.standardize(dataset)))
    assert_same(batch.inversion, encode(run, batch.target, initial, mask=batch.mask))


def test_a_run_of_one_code_cannot_encode(tmp_path: Path, blobs: Any) -> None:
    train(tmp_path / "one", blobs(1), **QUICK)
    with pytest.raises(UserError, match="one example"):
        prepare_search(open_run(tmp_path / "one"))


@pytest.fixture(scope="module")
def with_encoder(tmp_path_factory: pytest.TempPathFactory, blobs: Any) -> Run:
    folder = tmp_path_factory.mktemp("amortized") / "run"
    train(folder, blobs(80), encoder="on", **{**QUICK, "epochs": 20, "constraint": "ball"})
    return open_run(folder)


def test_a_run_has_an_encoder_where_it_is_asked_for(run: Run, with_encoder: Run) -> None:
    assert run.encoder is None
    assert with_encoder.encoder is not None
    figures = (with_encoder.summary or {})["encoder"]
    assert 0 < figures["mse"] < 1
    assert figures["seconds"] > 0
    assert "encoder" not in (run.summary or {})


def test_one_pass_of_the_encoder(with_encoder: Run, x: Tensor) -> None:
    initial = prepare_search(with_encoder, device="cpu")
    encoder = with_encoder.encoder
    assert encoder is not None
    for mask in (None, left_hidden()):
        found = encode(with_encoder, x, initial, mask=mask, search="encoder")
        assert torch.equal(found.codes, encoder(x, mask))
        errors = MSELoss()(found.reconstructions, x, mask)
        torch.testing.assert_close(found.residuals, errors)
        assert torch.equal(found.solutions[:, 0], found.codes)


def test_codes_of_one_pass_are_not_decoded(run: Run, with_encoder: Run, blobs: Any) -> None:
    dataset = blobs(30)
    found = encode_dataset(
        with_encoder, dataset, prepare_search(with_encoder, device="cpu"), search="encoder"
    )
    codes = encoder_codes(with_encoder, dataset)
    assert torch.equal(codes, torch.cat([batch.inversion.codes for batch in found]))
    with pytest.raises(UserError):
        encoder_codes(run, dataset)


def test_the_short_search_begins_at_the_encoder(with_encoder: Run, x: Tensor) -> None:
    initial = prepare_search(with_encoder, device="cpu")
    once, short, full = (
        encode(with_encoder, x, initial, search=search)  # type: ignore[arg-type]
        for search in ("encoder", "refine", "full")
    )
    assert bool((short.residuals <= once.residuals).all())
    assert short.residuals.mean() < 1.3 * full.residuals.mean()
    assert_same(short, encode(with_encoder, x, initial))
    # A row does not depend on the others.
    alone = encode(with_encoder, x[3:4], initial)
    torch.testing.assert_close(alone.codes, short.codes[3:4], rtol=1e-3, atol=1e-3)


def test_what_the_encoder_does_not_explain_is_searched_in_full(with_encoder: Run) -> None:
    initial = prepare_search(with_encoder, device="cpu")
    strange = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    short = encode(with_encoder, strange, initial)
    full = encode(with_encoder, strange, initial, search="full")
    assert bool((short.residuals <= full.residuals + 1e-6).all())
    assert bool((short.steps > full.steps).all())


def test_hidden_values_do_not_influence_the_short_search(with_encoder: Run, x: Tensor) -> None:
    initial, mask = prepare_search(with_encoder, device="cpu"), left_hidden()
    other = torch.where(mask.expand_as(x) > 0, x, torch.full_like(x, torch.nan))
    assert_same(
        encode(with_encoder, x, initial, mask=mask), encode(with_encoder, other, initial, mask=mask)
    )


def test_an_encoder_that_is_missing_or_cannot_be_used_is_named(
    run: Run, initial: InitialCodes, with_encoder: Run, x: Tensor
) -> None:
    with pytest.raises(UserError, match="encoder"):
        encode(run, x, initial, search="encoder")
    with pytest.raises(UserError, match="encoder"):
        encode(with_encoder, x, initial, n_solutions=2, search="encoder")
