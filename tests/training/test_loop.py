"""The joint loop: every row learns from its own example, as a loop written out by hand would."""

import math
from collections.abc import Callable
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.host_reads import HostReads
from tests.training.reference_loop import ReferenceLoop
from torch import Tensor
from torch.nn import functional

from glo.config.settings import Settings
from glo.data import Dataset
from glo.data.loader import BatchLoader
from glo.decoders import Decoder
from glo.errors import UserError
from glo.latents.table import LatentCodes
from glo.training.evaluation import evaluate
from glo.training.loop import READ_EVERY, TrainingDiverged, train
from glo.training.schedule import lr_factor
from glo.training.state import TrainState
from glo.training.statistics import EpochRecord, StepRecord
from glo.utils.random import permutation

Maker = Callable[..., Dataset]
Begin = Callable[..., TrainState]

PLAIN: dict[str, Any] = {
    "init": "gaussian",
    "schedule": "constant",
    "constraint": "free",
    "decoder_optimizer": "sgd",
    "code_optimizer": "sgd",
    "decoder_lr": 0.05,
    "code_lr": 0.5,
}


def finish(training: TrainState, samples: Any) -> list[StepRecord | EpochRecord]:
    return list(train(training, samples))


def everything(training: TrainState) -> dict[str, Tensor]:
    tensors = {f"decoder.{k}": v for k, v in training.decoder.state_dict().items()}
    for index, state in enumerate(training.optimizer.state.values()):
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    if training.averaged is not None:
        tensors |= {f"averaged.{k}": v for k, v in training.averaged.state_dict().items()}
    tensors |= {f"row.{k}": v for k, v in training.code_optimizer.row_state().items()}
    tensors["codes"] = training.codes
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def assert_same(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def quiet(record: StepRecord | EpochRecord) -> dict[str, Any]:
    return {name: value for name, value in record.to_dict().items() if name != "seconds"}


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_loop_is_the_one_written_out_by_hand(
    vectors: Maker, begin: Begin, shuffle: bool
) -> None:
    samples = vectors(10)
    training = begin(samples, epochs=3, shuffle=shuffle, seed=5, **PLAIN)
    start = {name: tensor.clone() for name, tensor in training.decoder.state_dict().items()}
    codes = training.codes.clone().requires_grad_()
    finish(training, samples)
    after = training.decoder.state_dict()
    learned = {name: tensor.clone() for name, tensor in after.items()}

    decoder = training.decoder
    decoder.load_state_dict(start)
    data = torch.tensor(samples.rows)
    for epoch in range(3):
        order = permutation(10, 5, epoch) if shuffle else torch.arange(10)
        for rows in order.split(4):
            losses = (decoder(codes[rows]) - data[rows]).square().mean(1)
            weights = list(decoder.parameters())
            gradients = torch.autograd.grad(losses.mean(), weights, retain_graph=True)
            (own,) = torch.autograd.grad(losses.sum(), codes)
            with torch.no_grad():
                codes -= 0.5 * own
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight -= 0.05 * gradient
    torch.testing.assert_close(training.codes, codes.detach(), atol=1e-5, rtol=1e-4)
    for name, tensor in decoder.state_dict().items():
        torch.testing.assert_close(learned[name], tensor, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_latent_step_is_free_of_the_batch_size(
    vectors: Maker, begin: Begin, optimizer: str
) -> None:
    samples = vectors(128)
    choices = PLAIN | {"decoder_lr": 0.0, "code_optimizer": optimizer, "epochs": 2}
    moved = {}
    for size in (1, 7, 128):
        training = begin(samples, batch_size=size, **choices)
        before = training.codes.clone()
        finish(training, samples)
        moved[size] = training.codes - before
    assert moved[1].norm(dim=1).min() > 0
    for size in (7, 128):
        torch.testing.assert_close(moved[size], moved[1], atol=1e-5, rtol=1e-3)


def test_a_mean_reduction_divides_by_the_batch_size(vectors: Maker, begin: Begin) -> None:
    samples = vectors(64)
    choices = PLAIN | {"decoder_lr": 0.0, "epochs": 1, "batch_size": 16}
    moved = {}
    for reduction in ("row", "mean"):
        training = begin(samples, code_grad_reduction=reduction, **choices)
        before = training.codes.clone()
        finish(training, samples)
        moved[reduction] = training.codes - before
    torch.testing.assert_close(16 * moved["mean"], moved["row"], atol=1e-5, rtol=1e-3)


class Coarse(Decoder):
    """A linear picture of 4 x 4 pixels, enlarged."""

    name = "coarse"

    def __init__(self, *, code_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__(code_dim=code_dim, shape=shape)
        self.linear = torch.nn.Linear(code_dim, 16)

    def forward(self, codes: Tensor) -> Tensor:
        small = torch.tanh(self.linear(codes)).view(-1, 1, 4, 4)
        return functional.interpolate(small, size=self.shape[1:], mode="nearest")


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_both_rates_are_free_of_the_resolution(blobs: Maker, loss: str) -> None:
    small = blobs(8, side=4).rows
    learned = []
    for factor in (1, 2, 8):
        rows = small.repeat(factor, axis=1).repeat(factor, axis=2)
        samples = Dataset(rows=rows, name="enlarged")
        settings = Settings(
            **PLAIN, code_dim=2, epochs=3, batch_size=3, loss=loss, precision="float32"
        )
        torch.manual_seed(0)
        decoder = Coarse(code_dim=2, shape=samples.shape)
        training = TrainState(settings, decoder, LatentCodes(torch.ones(8, 2), constraint="free"))
        finish(training, samples)
        learned.append((training.codes, decoder.linear.weight.detach()))
    assert not torch.allclose(learned[0][0], torch.ones(8, 2), atol=0.01)
    for codes, weight in learned[1:]:
        torch.testing.assert_close(codes, learned[0][0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(weight, learned[0][1], atol=1e-5, rtol=1e-4)


def test_a_poisoned_example_reaches_its_own_code_alone(vectors: Maker, begin: Begin) -> None:
    clean = vectors(12)
    rows = clean.rows.copy()
    rows[5] += 3.0
    choices = PLAIN | {"decoder_lr": 0.0, "epochs": 2}
    codes = []
    for samples in (clean, Dataset(rows=rows, name="poisoned")):
        training = begin(samples, **choices)
        finish(training, samples)
        codes.append(training.codes)
    differs = (codes[0] != codes[1]).any(1)
    assert differs.nonzero().flatten().tolist() == [5]


def test_codes_go_with_their_images(blobs: Maker, begin: Begin) -> None:
    samples = blobs(12)
    order = np.random.default_rng(2).permutation(12)
    mixed = Dataset(rows=samples.rows[order], name="mixed")
    plain, moved = (
        begin(each, batch_size=12, epochs=3, decoder_lr=1e-3) for each in (samples,) * 2
    )
    # Same components, so that their signs are the same too.
    moved.codes.copy_(plain.codes[order])
    finish(plain, samples)
    finish(moved, mixed)
    torch.testing.assert_close(moved.codes, plain.codes[order], atol=1e-3, rtol=1e-2)
    assert not torch.allclose(moved.codes, plain.codes, atol=0.1)


@pytest.mark.parametrize("constraint", ["ball", "sphere", "free"])
def test_constraints_hold_after_every_step(blobs: Maker, begin: Begin, constraint: str) -> None:
    samples = blobs(6)
    training = begin(samples, constraint=constraint, code_lr=1.0, schedule="constant")
    longest = 0.0
    for _ in train(training, samples):
        norms = training.codes.norm(dim=1)
        longest = max(longest, float(norms.max()))
        assert constraint == "free" or bool((norms <= 1 + 1e-6).all())
        assert constraint != "sphere" or bool((norms >= 1 - 1e-6).all())
    assert (longest > 1.1) == (constraint == "free")


def test_projection_once_an_epoch(vectors: Maker, begin: Begin) -> None:
    samples = vectors(8)
    choices = PLAIN | {"constraint": "ball", "code_lr": 50.0, "decoder_lr": 0.0}
    training = begin(samples, project_every="epoch", epochs=2, **choices)
    lengths = [float(training.codes.norm(dim=1).max()) for _ in train(training, samples)]
    # Two steps and a record an epoch: loose after the first step, on the ball after the second.
    assert [length > 1.1 for length in lengths] == [True, False, False] * 2


@pytest.mark.parametrize(("n", "shuffle"), [(10, True), (10, False), (9, True), (3, True)])
def test_the_last_partial_batch_is_trained(
    blobs: Maker, begin: Begin, n: int, shuffle: bool
) -> None:
    samples = blobs(n)
    training = begin(samples, epochs=3, shuffle=shuffle)
    records = finish(training, samples)
    assert training.code_optimizer.row_state()["step"].tolist() == [3] * n
    assert [r.rows for r in records if isinstance(r, EpochRecord)] == [n] * 3


def test_drop_last_leaves_exactly_the_tail(blobs: Maker, begin: Begin) -> None:
    samples = blobs(10)
    training = begin(samples, epochs=3, shuffle=False, drop_last=True)
    before = training.codes.clone()
    finish(training, samples)
    assert training.code_optimizer.row_state()["step"].tolist() == [3] * 8 + [0, 0]
    assert torch.equal(training.codes[8:], before[8:])
    assert bool((training.codes[:8] != before[:8]).any(1).all())


@pytest.mark.parametrize("drop", [True, False])
def test_a_batch_may_be_larger_than_the_data(blobs: Maker, begin: Begin, drop: bool) -> None:
    samples = blobs(3)
    records = finish(begin(samples, batch_size=50, epochs=2, drop_last=drop), samples)
    assert [(type(r), r.rows) for r in records] == [(StepRecord, 3), (EpochRecord, 3)] * 2


def test_a_single_example_trains(blobs: Maker, begin: Begin) -> None:
    samples = blobs(1)
    training = begin(samples, epochs=60, decoder_lr=0.01)
    errors = [r.mse for r in finish(training, samples) if isinstance(r, EpochRecord)]
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.parametrize(("decoder", "side"), [("dcgan", 8), ("tensorlayer", 16)])
def test_gradients_reach_every_parameter(
    blobs: Maker, begin: Begin, decoder: str, side: int
) -> None:
    samples = blobs(4, side=side)
    training = begin(samples, decoder=decoder, epochs=1)
    before = {name: p.detach().clone() for name, p in training.decoder.named_parameters()}
    finish(training, samples)
    assert len(before) > 3
    for name, parameter in training.decoder.named_parameters():
        assert parameter.grad.abs().max() > 0, name
        assert not torch.equal(parameter, before[name]), name


def test_gradients_reach_every_parameter_of_the_mlp(vectors: Maker, begin: Begin) -> None:
    training = begin(vectors(4), epochs=1)
    finish(training, vectors(4))
    for name, parameter in training.decoder.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_data_order_is_a_function_of_seed_and_epoch(
    vectors: Maker, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited: list[list[int]] = []
    gather = BatchLoader.batch

    def spy(loader: BatchLoader, rows: Tensor) -> Any:
        visited.append(rows.tolist())
        return gather(loader, rows)

    monkeypatch.setattr(BatchLoader, "batch", spy)

    def asked(**choices: Any) -> list[list[int]]:
        visited.clear()
        samples = vectors(9)
        finish(begin(samples, **choices), samples)
        return list(visited)

    first = asked(seed=1, epochs=2)
    expected = [part.tolist() for epoch in range(2) for part in permutation(9, 1, epoch).split(4)]
    assert first == expected
    assert first[:3] != first[3:]
    # Neither the length of the run nor any other choice changes it; the seed does.
    assert asked(seed=1, epochs=3, decoder_lr=0.0, init="gaussian")[:6] == first
    assert asked(seed=2, epochs=2) != first
    assert asked(shuffle=False, epochs=1) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    near = asked(shuffle_buffer=3, epochs=1)
    assert sorted(row for batch in near for row in batch) == list(range(9))
    assert near not in (first[:3], asked(shuffle_buffer=3, epochs=1, seed=1))


@pytest.mark.parametrize("project", ["step", "epoch"])
@pytest.mark.parametrize("stop", range(1, 9))
def test_stop_and_go_on_is_like_never_having_stopped(
    blobs: Maker, begin: Begin, stop: int, project: str
) -> None:
    samples = blobs(6)
    choices = {
        "epochs": 3,
        "ema_decay": 0.5,
        "project_every": project,
        "code_lr": 0.5,
        "warmup": 0.3,
    }
    whole, parts = (begin(samples, **choices) for _ in range(2))
    told = finish(whole, samples)
    # A stop after any record: in an epoch, before its record, after it.
    again = [*islice(train(parts, samples), stop), *finish(parts, samples)]
    assert_same(everything(whole), everything(parts))
    assert [quiet(record) for record in again] == [quiet(record) for record in told]
    assert parts.done
    assert finish(parts, samples) == []


def test_the_same_seed_is_the_same_run(blobs: Maker, begin: Begin) -> None:
    samples = blobs(6)
    runs = []
    for seed in (1, 1, 2):
        torch.rand(3)
        training = begin(samples, seed=seed)
        finish(training, samples)
        runs.append(everything(training))
    assert_same(runs[0], runs[1])
    assert not torch.equal(runs[0]["codes"], runs[2]["codes"])
    changed = "decoder.net.0.weight"
    assert not torch.equal(runs[0][changed], runs[2][changed])


def test_starting_leaves_torchs_generator_alone(vectors: Maker, begin: Begin) -> None:
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    begin(vectors(4))
    assert torch.equal(torch.rand(3), expected)


def test_the_averaged_decoder_is_the_average(blobs: Maker, begin: Begin) -> None:
    samples = blobs(6)
    training = begin(samples, ema_decay=0.75, epochs=3, decoder_lr=0.05)
    expected: dict[str, Tensor] = {}
    for record in train(training, samples):
        if isinstance(record, StepRecord):
            now = {k: v.detach().double() for k, v in training.decoder.state_dict().items()}
            expected = {k: 0.75 * expected.get(k, v) + 0.25 * v for k, v in now.items()}
    averaged = training.final_decoder.state_dict()
    assert training.final_decoder is not training.decoder
    for name, tensor in averaged.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], atol=1e-5, rtol=1e-4)
    last = training.decoder.state_dict()
    assert not torch.allclose(averaged["net.0.weight"], last["net.0.weight"])


def test_without_an_average_the_last_decoder_is_used(vectors: Maker, begin: Begin) -> None:
    training = begin(vectors(4))
    assert training.averaged is None
    assert training.final_decoder is training.decoder


@pytest.mark.parametrize("step", [0, 1, 37, 99])
def test_the_schedule(step: int) -> None:
    cosine = 0.5 * (1 + math.cos(math.pi * step / 100))
    assert lr_factor(step, 100, Settings(schedule="cosine")) == pytest.approx(cosine)
    assert lr_factor(step, 100, Settings(schedule="linear")) == pytest.approx(1 - step / 100)
    assert lr_factor(step, 100, Settings(schedule="constant")) == 1.0
    rise = min(1.0, (step + 1) / 20)
    warm = Settings(schedule="constant", warmup=0.2)
    assert lr_factor(step, 100, warm) == pytest.approx(rise)
    both = Settings(schedule="cosine", warmup=0.2)
    assert lr_factor(step, 100, both) == pytest.approx(rise * cosine)


def test_the_schedule_is_used_for_both_rates(vectors: Maker, begin: Begin) -> None:
    samples = vectors(8)
    choices = {"warmup": 0.3, "decoder_lr": 0.02, "code_lr": 0.4, "epochs": 5}
    training = begin(samples, **choices, decoder_optimizer="sgd", code_optimizer="sgd")
    steps = [r for r in train(training, samples) if isinstance(r, StepRecord)]
    assert len(steps) == training.total_steps == 10
    for number, record in enumerate(steps):
        share = lr_factor(number, 10, training.settings)
        assert record.decoder_lr == pytest.approx(0.02 * share)
        assert record.code_lr == pytest.approx(0.4 * share)
    assert training.optimizer.param_groups[0]["lr"] == steps[-1].decoder_lr


def test_a_run_that_blows_up_says_so(vectors: Maker, begin: Begin) -> None:
    samples = vectors(8)
    training = begin(samples, **PLAIN | {"decoder_lr": 900.0}, epochs=50)
    with pytest.raises(TrainingDiverged, match=r"10 in a row.*decoder_lr \(900\).*code_lr \(0.5\)"):
        finish(training, samples)
    assert 0 < training.step < training.total_steps


def test_hidden_pixels_do_not_change_training(blobs: Maker, begin: Begin) -> None:
    plain = blobs(9)
    rng = np.random.default_rng(0)
    missing = rng.random((9, 8, 8, 1)) < 0.4
    noise = rng.integers(0, 255, plain.rows.shape, dtype=np.uint8)
    runs, records = [], []
    for rows in (plain.rows, np.where(missing, noise, plain.rows)):
        samples = Dataset(rows=rows, missing=missing, name="holes")
        training = begin(samples, loss="mse+l1")
        records.append([quiet(record) for record in train(training, samples)])
        runs.append(everything(training))
    assert_same(runs[0], runs[1])
    assert records[0] == records[1]


def test_an_example_of_which_nothing_is_known_stays(vectors: Maker, begin: Begin) -> None:
    rows = vectors(6).rows.copy()
    rows[2] = np.nan
    samples = Dataset(rows=rows, name="holes")
    training = begin(samples)
    before = training.codes.clone()
    finish(training, samples)
    still = (training.codes == before).all(1)
    assert still.nonzero().flatten().tolist() == [2]


def test_bf16_keeps_codes_weights_and_losses_in_float32(blobs: Maker, begin: Begin) -> None:
    samples = blobs(6)
    training = begin(samples, precision="bf16", epochs=20, decoder_lr=0.01)
    errors = [r.mse for r in finish(training, samples) if isinstance(r, EpochRecord)]
    floats = [t for t in everything(training).values() if t.is_floating_point()]
    assert {tensor.dtype for tensor in floats} == {torch.float32}
    assert errors[-1] < 0.5 * errors[0]


def test_records_tell_the_run(vectors: Maker, begin: Begin) -> None:
    samples = vectors(10)
    training = begin(samples, epochs=2)
    records = finish(training, samples)
    kinds = [type(record).__name__ for record in records]
    assert kinds == ([*["StepRecord"] * 3, "EpochRecord"]) * 2
    assert [r.step for r in records] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert [r.epoch for r in records] == [1] * 4 + [2] * 4
    for low in (0, 4):
        steps, epoch = records[low : low + 3], records[low + 3]
        assert epoch.loss == pytest.approx(sum(r.rows * r.loss for r in steps) / 10)
        assert epoch.mse == pytest.approx(epoch.loss)
        assert epoch.code_travel > 0
        assert epoch.decoder_step > 0


@pytest.mark.parametrize(("decoder", "kind"), [("mlp", "images"), ("dcgan", "vectors")])
def test_a_decoder_that_does_not_fit_the_data(
    vectors: Maker, blobs: Maker, begin: Begin, decoder: str, kind: str
) -> None:
    samples = blobs(4) if kind == "images" else vectors(4)
    with pytest.raises(UserError, match=f"^decoder '{decoder}' cannot make {kind}; use decoder "):
        begin(samples, decoder=decoder)


def test_widths_reach_the_decoder(vectors: Maker, blobs: Maker, begin: Begin) -> None:
    assert begin(blobs(4), width=5).decoder.config["width"] == 5
    assert begin(vectors(4), width=5).decoder.config["hidden"] == [20, 20]


def test_an_evaluation_in_between_changes_nothing(blobs: Maker, begin: Begin) -> None:
    samples = blobs(8)
    quiet, watched = begin(samples), begin(samples)
    finish(quiet, samples)
    for _ in train(watched, samples):
        evaluate(watched.decoder, watched.codes, samples, watched.settings)
    for name, tensor in everything(quiet).items():
        assert torch.equal(everything(watched)[name], tensor)


def test_the_travel_of_codes_starts_at_their_projected_initial_values(
    vectors: Maker, begin: Begin
) -> None:
    training = begin(vectors(12), init="gaussian", gaussian_std=5.0, code_lr=0.0)
    assert training.codes.norm(dim=1).max() <= 1 + 1e-6
    assert training.statistics.travel(training.codes) == 0.0


def spoil_decoder(training: TrainState, step: int) -> None:
    """Make the gradient of a weight NaN in one step."""
    steps = count(1)
    weight = next(training.decoder.parameters())
    weight.register_hook(lambda gradient: gradient * math.nan if next(steps) == step else None)


def spoil_code(training: TrainState, step: int) -> None:
    """Make the first code of the batch NaN before one step."""
    steps = count(1)

    def spoil(latents: Any, rows: tuple[Tensor]) -> None:
        if next(steps) == step:
            latents.weight.data[rows[0][0], 0] = math.nan

    training.latents.register_forward_pre_hook(spoil)


def spoil_code_gradient(training: TrainState, step: int) -> None:
    """Make the gradient of the second code of the batch NaN in one step."""
    steps = count(1)

    def spoil(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[1, 0] = math.nan
        return gradient

    def hook(decoder: Any, inputs: tuple[Tensor]) -> None:
        if next(steps) == step:
            inputs[0].register_hook(spoil)

    training.decoder.register_forward_pre_hook(hook)


SPOILERS = {
    "nothing": [],
    "gradients": [(spoil_decoder, 1), (spoil_decoder, 5)],
    "codes": [(spoil_code, 2), (spoil_code, 4)],
    "a code's gradient": [(spoil_code_gradient, 4)],
    "all": [(spoil_code, 2), (spoil_code_gradient, 3), (spoil_decoder, 5)],
}
RECIPES: dict[str, dict[str, Any]] = {
    "the defaults": {"code_dim": 32, "width": 32, "seed": 3},
    "one pass": {"project_every": "epoch", "ema_decay": 0.5, "decoder_optimizer": "adam"},
    "momentum": {"code_betas": (0.5, 0.9), "constraint": "sphere", "warmup": 0.4, "loss": "mse+l1"},
    "descent": {**PLAIN, "code_grad_reduction": "mean", "constraint": "ball", "code_lr": 5.0},
}


PAIRS = [
    ("the defaults", "blobs"),
    ("the defaults", "blobs with holes"),
    ("one pass", "blobs"),
    ("momentum", "vectors with holes"),
    ("descent", "vectors, one infinite"),
]


def holes(samples: Dataset) -> Dataset:
    """Hide three tenths of the numbers, and all of an example."""
    hidden = np.random.default_rng(1).random((len(samples), *samples.rows.shape[1:-1], 1)) < 0.3
    hidden[4] = True
    if samples.is_images:
        return samples.replace(missing=hidden)
    rows = samples.rows.copy()
    rows[np.random.default_rng(1).random(rows.shape) < 0.3] = np.nan
    return samples.replace(rows=rows)


@pytest.mark.parametrize("spoiled", SPOILERS)
@pytest.mark.parametrize(("recipe", "data"), PAIRS)
def test_the_loop_has_the_bits_of_one_on_the_host(
    vectors: Maker, blobs: Maker, begin: Begin, recipe: str, data: str, spoiled: str
) -> None:
    samples = vectors(10) if "vectors" in data else blobs(10)
    if "holes" in data:
        samples = holes(samples)
    choices = {"epochs": 3, "init": "gaussian", **RECIPES[recipe]}
    training, twin = (begin(samples, **choices) for _ in range(2))
    if "infinite" in data:
        # The loss of this example is: its steps are skipped, and its code is drawn again.
        rows = samples.rows.copy()
        rows[7] = 1e30
        samples = samples.replace(rows=rows)
    for each in (training, twin):
        for spoil, step in SPOILERS[spoiled]:
            spoil(each, step)
    records = [quiet(record) for record in train(training, samples)]
    reference = ReferenceLoop(twin, samples)
    # As text, since no NaN equals another.
    for record, expected in zip(records, reference.run(), strict=True):
        assert repr(sorted(record.items())) == repr(sorted(expected.items()))
    averaged = training.averaged
    training.averaged = twin.averaged = None
    assert_same(everything(training), everything(twin))
    if reference.averaged is not None:
        assert averaged is not None
        means = reference.averaged.module.state_dict()
        for name, value in averaged.module.state_dict().items():
            assert not value.is_floating_point() or torch.equal(value, means[name]), name


def test_a_skipped_step_leaves_no_trace(blobs: Maker, begin: Begin) -> None:
    samples = blobs(8)
    training = begin(samples, code_dim=32, width=32, ema_decay=0.5, epochs=2)
    spoil_decoder(training, 3)
    # The step 3 is the first of the second epoch.
    states = [everything(training) for record in train(training, samples)]
    assert training.skipped == 1
    assert_same(states[2], states[3])
    assert not torch.equal(states[3]["codes"], states[4]["codes"])


def test_steps_are_read_together(vectors: Maker, begin: Begin) -> None:
    samples = vectors(200)
    training = begin(samples, epochs=1)
    with HostReads() as reads:
        for record in islice(train(training, samples), 40):
            assert record.rows == 4
    assert training.total_steps == 50
    # Beside the copies of codes and weights at the start of the epoch.
    assert sum("loop.py" in place for place in reads.places) == 1
    assert reads.count <= 4, reads.places
    assert len(training.unread) == 40 - READ_EVERY


def test_numbers_of_a_step_can_be_read_at_once(vectors: Maker, begin: Begin) -> None:
    samples = vectors(200)
    late, soon = (begin(samples, epochs=1) for _ in range(2))
    expected = [quiet(record) for record in finish(late, samples)]
    assert [quiet(record) for record in train(soon, samples)] == expected
    assert_same(everything(late), everything(soon))
