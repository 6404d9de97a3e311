"""Evaluation: rows, figures, features, and checks before the long work."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import finish

from glo.data import Dataset, to_uint8
from glo.decoders.decode import decode
from glo.errors import UserError
from glo.features.base import Thumbnails
from glo.inversion import half_mask
from glo.metrics import frechet_distance, psnr, ssim
from glo.runs.run import Run, open_run
from glo.utils.json_toml import finite_json
from glo.utils.random import permutation
from glo.workflows.encode import encode, prepare_search
from glo.workflows.evaluate import evaluate, nearest_by_left_half
from glo.workflows.evaluation_plan import choose_features, prepare

N, N_HELDOUT = 60, 40
QUICK: dict[str, Any] = {"code_dim": 3, "epochs": 3, "prior": "gaussian"}


@pytest.fixture(scope="module")
def images(blobs: Any) -> tuple[Dataset, Dataset]:
    return blobs(N, seed=0), blobs(N_HELDOUT, seed=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, images: tuple[Dataset, Dataset]) -> Run:
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    finish(folder, images[0], **QUICK)
    return open_run(folder)


def figures_of(run: Run, training: Dataset, **choices: Any) -> dict[str, Any]:
    return evaluate(prepare(run, training, **choices))


@pytest.fixture(scope="module")
def values(run: Run, images: tuple[Dataset, Dataset]) -> dict[str, Any]:
    return figures_of(run, images[0], heldout=images[1], priors=("gaussian",), n=30)


def test_training_is_measured_on_the_rows_of_a_permutation(
    run: Run, images: tuple[Dataset, Dataset], values: dict[str, Any]
) -> None:
    rows = permutation(N, 0, 0)[:30]
    made, target = run.reconstruct(rows), images[0].batch(rows)
    figures = values["training"]
    assert figures["n"] == 30
    assert figures["mse"] == pytest.approx(float((made - target).square().mean()), rel=1e-5)
    assert figures["psnr"] == pytest.approx(float(psnr(made, target).mean()), rel=1e-5)
    assert figures["ssim"] == pytest.approx(float(ssim(made, target).mean()), rel=1e-4)
    steps = rows.sort().values.diff()
    assert len(steps.unique()) > 1, "a stride is no sample of ordered data"


def test_the_search_finds_what_the_decoder_can_make(
    run: Run, images: tuple[Dataset, Dataset], values: dict[str, Any]
) -> None:
    codes = run.prior("gaussian").sample(20, seed=5)
    rows = to_uint8(decode(run.decoder, codes, run.settings.precision))
    made = Dataset(rows=rows, name="made")
    figures = figures_of(run, images[0], heldout=made)["heldout"]
    assert (figures["n"], figures["name"]) == (20, "made")
    assert 0 < figures["mse"] < 0.1 * float(made.batch(torch.arange(20)).var(0).mean())
    assert figures["mse"] < 0.1 * values["heldout"]["mse"]
    assert figures["per_second"] == pytest.approx(20 / figures["seconds"])


def test_the_right_half_is_measured_under_the_code_of_the_left(
    run: Run, images: tuple[Dataset, Dataset], values: dict[str, Any]
) -> None:
    halves, rows = values["halves"], permutation(N_HELDOUT, 0, 1)[:30]
    truth = images[1].batch(rows)
    found = encode(run, truth, prepare_search(run), mask=half_mask((1, 8, 8), "right"))
    errors = (found.reconstructions - truth)[..., 4:].square().mean((1, 2, 3))
    assert halves["n"] == 30
    assert halves["mse"] == pytest.approx(float(errors.mean()), rel=1e-4)
    assert halves["left_mse"] == pytest.approx(float(found.residuals.mean()), rel=1e-4)
    # Halves of four pixels are too small for the window of SSIM.
    assert "ssim" not in halves
    assert -1 <= halves["rank_correlation"] <= 1
    near = images[0].batch(nearest_by_left_half(truth, images[0], torch.arange(N)))
    distances = torch.cdist(truth[..., :4].flatten(1), every(images[0])[..., :4].flatten(1))
    torch.testing.assert_close(
        (near - truth)[..., :4].flatten(1).norm(dim=1), distances.amin(1), rtol=1e-3, atol=1e-3
    )


def test_the_hidden_half_does_not_count(run: Run, images: tuple[Dataset, Dataset]) -> None:
    rows = images[1].rows.copy()
    rows[:, :, 4:] = 255 - rows[:, :, 4:]
    other = Dataset(rows=rows, name="other")
    one, two = (
        figures_of(run, images[0], heldout=heldout, priors=("gaussian",), n=30)["halves"]
        for heldout in (images[1], other)
    )
    assert one["left_mse"] == pytest.approx(two["left_mse"], rel=1e-6)
    assert one["mse"] != pytest.approx(two["mse"], rel=1e-2)


def every(dataset: Dataset) -> torch.Tensor:
    return dataset.batch(torch.arange(len(dataset)))


def test_distances_and_their_floor_are_of_the_same_numbers(
    run: Run, images: tuple[Dataset, Dataset], values: dict[str, Any]
) -> None:
    look = Thumbnails()
    unseen = look(images[1].batch(permutation(N_HELDOUT, 0, 1)[:30]))
    rows = permutation(N, 0, 0)[:30]
    floor = frechet_distance(look(images[0].batch(rows)), unseen)
    own = frechet_distance(look(run.reconstruct(rows)), unseen)
    codes = run.prior("gaussian").sample(30, seed=0)
    drawn = frechet_distance(look(decode(run.decoder, codes, run.settings.precision)), unseen)
    assert values["floor"]["fd"] == pytest.approx(floor, rel=1e-4)
    assert values["reconstructions"]["fd"]["value"] == pytest.approx(own, rel=1e-4)
    record = values["priors"]["gaussian"]["fd"]
    assert record["value"] == pytest.approx(drawn, rel=1e-4)
    assert record["floor"] == pytest.approx(floor, rel=1e-4)
    assert (record["n"], record["n_heldout"], record["features"]) == (
        30,
        30,
        "thumbnails of 8 x 8",
    )


def test_copies_are_looked_for_among_all_training_examples(values: dict[str, Any]) -> None:
    record = values["priors"]["gaussian"]["memorisation"]
    assert (record["n_samples"], record["n_training"], record["n_heldout"]) == (30, N, 30)
    assert record["ratio"] == pytest.approx(record["samples_distance"] / record["heldout_distance"])
    assert record["sentence"].startswith("The samples are ")


def test_few_rows_are_warned_of_and_the_figures_are_json(values: dict[str, Any]) -> None:
    assert len(values["notes"]) == 1
    assert "30 examples are fewer than the 64 features" in values["notes"][0]
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert finite_json({"a": [float("nan"), (1, float("-inf"))]}) == {"a": [None, [1, None]]}


def test_the_seed_decides_everything_but_the_clock(
    run: Run, images: tuple[Dataset, Dataset], values: dict[str, Any]
) -> None:
    def run_with(seed: int) -> Any:
        figures = figures_of(run, images[0], heldout=images[1], n=30, seed=seed)
        return figures["training"], figures["priors"]["gaussian"]["fd"]

    assert run_with(0) == (values["training"], values["priors"]["gaussian"]["fd"])
    assert run_with(1) != run_with(0)


def test_the_callback_reports_every_part(run: Run, images: tuple[Dataset, Dataset]) -> None:
    calls: list[tuple[str, int, int]] = []
    plan = prepare(run, images[0], heldout=images[1], priors=("gaussian",), n=30)
    evaluate(plan, callback=lambda *call: calls.append(call))
    assert all(done <= total for _, done, total in calls)
    assert list(dict.fromkeys(part for part, done, total in calls if done == total)) == [
        "reconstructing training examples",
        "searching codes of held-out examples",
        "searching codes of left halves",
        "thumbnails of 8 x 8 of held-out examples",
        "thumbnails of 8 x 8 of training examples",
        "drawing from gaussian",
    ]


def test_a_slow_network_leaves_copies_to_thumbnails(
    run: Run, images: tuple[Dataset, Dataset]
) -> None:
    plan = prepare(run, images[0], heldout=images[1], n=30)
    assert plan.features is not None
    features = Thumbnails(side=4)
    plan = replace(plan, features=replace(plan.features, distances=features))
    figures = evaluate(plan)["priors"]["gaussian"]
    assert figures["fd"]["features"] == features.name
    assert figures["memorisation"]["features"] == plan.features.memorisation.name
    assert figures["memorisation"]["n_training"] == N


def test_without_held_out_examples_no_distance_is_given(
    run: Run, images: tuple[Dataset, Dataset]
) -> None:
    figures = figures_of(run, images[0])
    assert figures["heldout"] is None
    assert figures["training"]["n"] == N
    assert not {"priors", "floor", "features"} & set(figures)
    assert "no held-out examples" in figures["notes"][0]
    assert "--heldout" in figures["notes"][0]


def test_fewer_held_out_examples_are_noted(run: Run, images: tuple[Dataset, Dataset]) -> None:
    plan = prepare(run, images[0], heldout=images[1], n=1000)
    assert plan.n == len(plan.heldout_rows) == N_HELDOUT
    assert "1,000 examples were asked for, but there are 60 training and 40" in plan.notes[0]


def test_vectors_are_compared_in_columns(tmp_path: Path, vectors: Any) -> None:
    training, unseen = vectors(60, seed=0), vectors(40, seed=1)
    finish(tmp_path / "run", training, **QUICK)
    figures = figures_of(open_run(tmp_path / "run"), training, heldout=unseen, n=30)
    assert figures["features"] == {"name": "columns", "dim": 6, "why": "vectors need no network"}
    assert set(figures["training"]) == {"n", "mse"}
    assert figures["priors"]["gaussian"]["prdc"]["n_real"] == 30
    with pytest.raises(UserError, match="--features is digits, but the examples are vectors"):
        prepare(open_run(tmp_path / "run"), training, heldout=unseen, features="digits")


def test_missing_values_leave_reconstructions(tmp_path: Path, vectors: Any) -> None:
    rows = vectors(60).rows.copy()
    rows[::3, 0] = np.nan
    training = Dataset(rows=rows, name="holes")
    finish(tmp_path / "run", training, **QUICK)
    figures = figures_of(open_run(tmp_path / "run"), training, heldout=vectors(40, seed=1), n=30)
    assert figures["training"]["mse"] > 0
    assert figures["heldout"]["mse"] > 0
    assert "priors" not in figures
    assert "missing values" in figures["notes"][0]


def test_columns_have_mean_0_and_deviation_1() -> None:
    rows = np.array([[1.0, 7.0], [3.0, 7.0], [8.0, 7.0]], np.float32)
    samples = Dataset(rows=rows, name="table").standardized()
    numbers = choose_features(samples).distances
    made = numbers(samples.batch(torch.arange(3)))
    assert (numbers.name, numbers.dim) == ("columns", 2)
    assert made.mean(0).abs().max() < 1e-6
    assert made[:, 0].std(correction=0) == pytest.approx(1)
    assert torch.equal(made[:, 1], torch.zeros(3))


@pytest.mark.parametrize(
    ("name", "channels", "chosen"),
    [("mnist", 1, "digits"), ("mnist-like", 1, "digits"), ("fashion-mnist", 1, "thumbnails")],
)
def test_features_are_chosen_by_the_data(name: str, channels: int, chosen: str) -> None:
    samples = Dataset(rows=np.zeros((3, 8, 8, channels), np.uint8), name=name)
    assert choose_features(samples).distances.name.startswith(chosen)


def test_colour_without_its_network_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise UserError("it is not installed.")

    monkeypatch.setattr("glo.workflows.evaluation_plan.efficientnet_features", missing)
    samples = Dataset(rows=np.zeros((3, 8, 8, 3), np.uint8), name="mnist")
    chosen = choose_features(samples)
    assert chosen.distances.name.startswith("thumbnails")
    assert "it is not installed" in chosen.reason


def test_invalid_arguments_are_refused_by_the_plan(
    run: Run, images: tuple[Dataset, Dataset], blobs: Any, vectors: Any
) -> None:
    training, unseen = images
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("--n is 5; .* at least 6", training, {"n": 5}),
        (
            "no prior 'mixtrue'; choose one of .* Did you mean 'mixture'",
            training,
            {"priors": ("mixtrue",)},
        ),
        ("not the data that .* fingerprint", unseen, {}),
        ("not the data that", training.subset(np.arange(50)), {}),
        ("of 1 x 16 x 16, but .* 1 x 8 x 8", blobs(N, side=16), {}),
        ("The held-out examples, vectors, are of 6", training, {"heldout": vectors(9)}),
        ("the training data themselves", training, {"heldout": training}),
        ("4 held-out ones.*at least 6", training, {"heldout": unseen.subset(np.arange(4))}),
        ("no features 'digist'", training, {"heldout": unseen, "features": "digist"}),
        ("cannot be opened .*'noise'.*; give them as DATA", None, {}),
    ]
    for part, data, choices in cases:
        with pytest.raises(UserError, match=part):
            prepare(run, data, **choices)


def test_one_example_is_too_few(tmp_path: Path, blobs: Any) -> None:
    finish(tmp_path / "run", blobs(1), **{**QUICK, "init": "gaussian"})
    with pytest.raises(UserError, match="was trained on one example"):
        prepare(open_run(tmp_path / "run"), blobs(1))
