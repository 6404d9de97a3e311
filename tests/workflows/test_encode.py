"""One search for all: what holds the code, what is told on the way, and the same codes at last."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import finish as train
from torch import Tensor

from glo.data import Dataset
from glo.errors import UserError
from glo.inversion import AveragePool, InitialCodes, Inversion, SearchState, finish, invert
from glo.losses import L1Loss, MSELoss
from glo.runs.run import Run, open_run
from glo.workflows.encode import Found, batches, prepare_search, search, search_samples

QUICK: dict[str, Any] = {"code_dim": 3, "epochs": 3, "prior": "gaussian", "precision": "float32"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, blobs: Any) -> Run:
    folder = tmp_path_factory.mktemp("searched") / "run"
    train(folder, blobs(60), constraint="sphere", **QUICK)
    return open_run(folder)


@pytest.fixture(scope="module")
def starts(run: Run) -> InitialCodes:
    return prepare_search(run, device="cpu")


@pytest.fixture(scope="module")
def unseen(blobs: Any) -> Dataset:
    found: Dataset = blobs(10, seed=1)
    return found


def whole(samples: Dataset) -> Tensor:
    return samples.batch(torch.arange(len(samples)))


def assert_same(one: Inversion, two: Inversion) -> None:
    for name, value in vars(one).items():
        assert torch.equal(value, getattr(two, name)), name


def test_whole_examples_are_held_by_nothing_but_the_constraint(
    run: Run, starts: InitialCodes, unseen: Dataset
) -> None:
    found = finish(search(run, whole(unseen), starts=starts))
    plain = invert(
        run.decoder, whole(unseen), starts=starts, constraint="sphere", precision="float32"
    )
    assert_same(found, plain)
    torch.testing.assert_close(found.codes.norm(dim=1), torch.ones(10))


def test_whole_examples_are_searched_by_the_loss_of_the_run(
    tmp_path: Path, blobs: Any, unseen: Dataset
) -> None:
    train(tmp_path / "run", blobs(60), loss="l1", **QUICK)
    run, target = open_run(tmp_path / "run"), whole(unseen)
    starts = prepare_search(run, device="cpu")
    found = finish(search(run, target, starts=starts))
    by_loss = invert(run.decoder, target, starts=starts, loss=L1Loss(), precision="float32")
    torch.testing.assert_close(found.codes, by_loss.codes)
    torch.testing.assert_close(found.residual, MSELoss()(found.reconstructions, target))


@pytest.mark.parametrize("damage", ["mask", "operator", "noise"])
def test_what_may_not_decide_is_held_by_the_nearest_codes(
    run: Run, starts: InitialCodes, unseen: Dataset, damage: str
) -> None:
    images = whole(unseen)
    mask, pool = torch.ones(1, 1, 8, 8), AveragePool(factor=2)
    mask[..., :4] = 0.0
    assert run.summary is not None
    told = max(2 * run.summary["mse"] ** 0.5, 0.125 * starts.examples_spread)
    target, asked = {
        "mask": (images, {"observed": mask}),
        "operator": (pool(images), {"operator": pool}),
        "noise": (images, {"noise": 0.3}),
    }[damage]
    found = finish(search(run, target, starts=starts, answers=3, **asked))  # type: ignore[arg-type]
    asked = {"noise": told, **asked}
    wanted = invert(
        run.decoder,
        target,
        starts=starts,
        prior="local",
        answers=3,
        constraint="sphere",
        precision="float32",
        **asked,  # type: ignore[arg-type]
    )
    assert_same(found, wanted)
    bare = {name: value for name, value in asked.items() if name != "noise"}
    free = invert(run.decoder, target, starts=starts, answers=3, constraint="sphere", **bare)  # type: ignore[arg-type]
    assert not torch.equal(free.codes, found.codes)


def test_an_overfitted_run_expects_to_miss_new_examples(
    starts: InitialCodes, unseen: Dataset, tmp_path: Path, blobs: Any
) -> None:
    train(tmp_path / "run", blobs(60), **QUICK)
    perfect, mask = open_run(tmp_path / "run"), torch.ones(1, 1, 8, 8)
    mask[..., :4] = 0.0
    (perfect.folder / "summary.json").write_text('{"mse": 0.0}')
    found = finish(search(perfect, whole(unseen), starts=starts, observed=mask))
    (perfect.folder / "summary.json").unlink()
    assert_same(found, finish(search(perfect, whole(unseen), starts=starts, observed=mask)))


def test_one_example_can_be_followed(run: Run, starts: InitialCodes, unseen: Dataset) -> None:
    image = whole(unseen)[:1]
    *seen, found = search(run, image, starts=starts)
    assert isinstance(found, Inversion)
    assert len(seen) == int(found.steps)
    steps = [step for step in seen if isinstance(step, SearchState)]
    assert [int(step.steps) for step in steps] == list(range(1, len(seen) + 1))
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    residuals = torch.cat([step.residual for step in steps])
    assert bool((residuals.diff() <= 0).all())
    assert torch.equal(steps[-1].codes, found.codes)
    assert torch.equal(steps[-1].residual, found.residual)
    with torch.no_grad():
        errors = [(run.decoder(s.codes) - image).square().mean() for s in steps]
    torch.testing.assert_close(torch.stack(errors), residuals, atol=1e-6, rtol=1e-3)


def test_a_search_that_is_left_gives_the_decoder_back(
    run: Run, starts: InitialCodes, unseen: Dataset
) -> None:
    wanted = [weight.requires_grad for weight in run.decoder.parameters()]
    steps = search(run, whole(unseen), starts=starts)
    next(steps)
    assert not any(weight.requires_grad for weight in run.decoder.parameters())
    steps.close()  # type: ignore[attr-defined]
    assert [weight.requires_grad for weight in run.decoder.parameters()] == wanted


def test_a_set_is_searched_in_order_and_the_share_rises(
    run: Run, starts: InitialCodes, unseen: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.workflows.encode._CHUNK", 64)
    many = unseen.subset(torch.arange(150) % 10)
    steps = list(search_samples(run, many, starts=starts, rows=torch.arange(149, 9, -1)))
    parts = [step for step in steps if isinstance(step, Found)]
    assert [len(part.rows) for part in parts] == [64, 64, 12]
    assert torch.equal(torch.cat([part.rows for part in parts]), torch.arange(149, 9, -1))
    for part in parts:
        assert part.observed is None
        assert torch.equal(part.target, many.batch(part.rows))
        torch.testing.assert_close(part.inversion.reconstructions, part.target, atol=2.0, rtol=0)
    shares = [step for step in steps if isinstance(step, float)]
    assert shares == sorted(shares)
    assert (shares[0] > 0, shares[-1]) == (True, 1.0)


def test_missing_values_of_vectors_are_hidden_in_standard_deviations(
    tmp_path: Path, vectors: Any
) -> None:
    train(tmp_path / "run", vectors(200), decoder="mlp", **QUICK)
    run = open_run(tmp_path / "run")
    rows = vectors(20).rows.copy()
    rows[::2, 1] = float("nan")
    samples = Dataset(rows=rows, name="vectors")
    starts = prepare_search(run, device="cpu")
    *_, found, _ = search_samples(run, samples, starts=starts)
    assert isinstance(found, Found)
    assert found.observed is not None
    assert found.observed[:, 1].tolist() == [0.0, 1.0] * 10
    seen = run.standardize(samples)
    assert torch.equal(found.target, seen.batch(torch.arange(20)))
    wanted = finish(search(run, found.target, starts=starts, observed=found.observed))
    assert_same(found.inversion, wanted)


def test_a_run_that_still_trains_has_no_search(tmp_path: Path, blobs: Any) -> None:
    train(tmp_path / "one", blobs(1), **QUICK)
    with pytest.raises(UserError, match="a search needs two codes to begin at"):
        prepare_search(open_run(tmp_path / "one"))


def test_batches_hold_as_many_answers_each() -> None:
    assert [len(rows) for rows in batches(600, answers=8)] == [256, 256, 88]
    assert [len(rows) for rows in batches(100, answers=1000)] == [64, 36]
