"""Contract: every default of torch gives the same numbers, and is the same after the call."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import builders
from tests.utils.test_torch_defaults import state
from torch import Tensor, nn
from torch.utils.data import DataLoader

import glo
from glo.errors import UserError
from glo.features.base import embed
from glo.features.loader import load_features
from glo.inversion import InversionOptions

N = 24
IMAGES = builders.images(N)
LABELS = np.arange(N) % 2
TABLE = np.random.default_rng(0).normal(size=(N, 3))
TABLE[0, 0] = np.nan
FEATURES = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 40, 3))).float()
CODES = torch.from_numpy(np.random.default_rng(1).normal(size=(60, 2))).float()
PICTURES = torch.from_numpy(IMAGES).div(127.5).sub(1.0)[:, None]
DIM = 3
OPTIONS = {"code_dim": DIM, "width": 4, "batch_size": 8, "epochs": 2, "refine_passes": 1}


def _snapshot() -> tuple[object, ...]:
    return (
        *state(),
        torch.get_autocast_dtype("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_num_threads(),
    )


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def _default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def _debugging() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        with torch.autograd.set_detect_anomaly(True):
            yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS: dict[str, Callable[[], Any]] = {
    "float64": lambda: _default_dtype(torch.float64),
    "default_device": lambda: _default_device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic_and_anomaly": _debugging,
}


@dataclass
class Place:
    """A finished run and its estimator, and an empty folder."""

    run_dir: Path
    model: glo.GLO
    decoder: nn.Module
    empty: Path


def _train(place: Place) -> Any:
    settings = glo.Settings(**OPTIONS, prior="mixture", ema_decay=0.9)
    run = glo.train(IMAGES, settings=settings, run_dir=place.empty / "run", verbose=0)
    return run.codes, run.sample(2, seed=1), run.reconstruct(np.arange(2)), run.errors


def _resume(place: Place) -> Any:
    settings = {"prior": "gaussian", "checkpoint_seconds": 0.0, **OPTIONS}
    stop = builders.ActAt(
        builders.at_step(4), lambda training: setattr(training, "should_stop", True)
    )
    options = {"settings": glo.Settings(**settings), "run_dir": place.empty / "run", "verbose": 0}
    glo.train(IMAGES, callbacks=[stop], **options)
    return glo.train(IMAGES, **options).codes


def _fit(place: Place) -> Any:
    model = glo.GLO(**OPTIONS, prior="gaussian").fit(TABLE, LABELS)
    codes = model.transform(TABLE + 0.5)
    return [
        model.codes_,
        codes,
        model.inverse_transform(codes),
        model.sample(3, label=1),
        model.score_samples(TABLE),
    ]


def _custom(place: Place) -> Any:
    def make(code_dim: int, shape: tuple[int, ...]) -> nn.Module:
        torch.manual_seed(0)
        layer = nn.Linear(code_dim, 64)
        return nn.Sequential(layer, nn.BatchNorm1d(64), nn.Tanh(), nn.Unflatten(1, shape))

    model = glo.GLO(**OPTIONS, prior="gaussian", decoder=make, loss="mse+0.1*lap1").fit(IMAGES)
    return model.codes_, model.sample(2)


def _partial_fit(place: Place) -> Any:
    model = glo.GLO(**OPTIONS, prior="gaussian").partial_fit(IMAGES).partial_fit(IMAGES[:4])
    model.add(255 - IMAGES[:2]).forget([0])
    return model.codes_, model.sample(2)


def _open(place: Place) -> Any:
    model, run = glo.load(place.run_dir), glo.open_run(place.run_dir)
    pictures = model.transform(255 - IMAGES[:2]), model.sample(2, label=1)
    return pictures, run.codes, run.labels, run.errors, list(run.decoder.parameters())


def _use(place: Place) -> Any:
    codes = place.model.transform(255 - IMAGES[:2])
    return codes, place.model.inverse_transform(codes), place.model.score_samples(IMAGES[:2])


def _fit_prior(name: str, **config: Any) -> Callable[[Place], Any]:
    def fit(place: Place) -> Any:
        prior = glo.priors.build_prior(name, constraint="ball", **config).fit(CODES, seed=1)
        glo.priors.save_prior(prior, place.empty)
        loaded = glo.priors.load_prior(place.empty, name)
        density = getattr(loaded, "log_prob", lambda codes: codes)(CODES)
        return prior.sample(3, seed=2), loaded.sample(3, seed=2), density.detach()

    return fit


def _invert(place: Place) -> Any:
    mask = torch.ones(1, 1, 8, 8, dtype=torch.float32, device="cpu")
    mask[..., :3] = 0.0
    codes = glo.open_run(place.run_dir).codes
    first = glo.invert(place.decoder, PICTURES[:3], codes)
    options = InversionOptions(prior="local", n_solutions=2)
    second = glo.invert(place.decoder, PICTURES[:3], codes, mask=mask, options=options)
    return first.codes, first.reconstructions, second.codes, second.residuals


def _data(place: Place) -> Any:
    table, pictures = glo.open_source(TABLE), glo.open_source(torch.from_numpy(IMAGES))
    sampler = glo.EpochSampler(N, 8, shuffle_buffer=8)
    plain = glo.EpochSampler(N, 8, shuffle=False)
    rows = np.arange(3)
    return [
        *(glo.pca_codes(dataset, 2) for dataset in (table, pictures)),
        *(table.batch(rows), table.observed(rows), table.standardized().batch(rows)),
        *(pictures.batch(rows), pictures[3][1], list(sampler), list(plain)),
    ]


def _measure(place: Place) -> Any:
    a, b = FEATURES
    figures = glo.metrics.Reference("x", heldout=a, training=b)
    return [
        *((each.value, each.floor) for each in (figures.frechet(a + 1), figures.kernel(a + 1))),
        glo.metrics.precision_recall_density_coverage(a, b).coverage,
        glo.metrics.MemorisationTest(a, b, features="x")(a).copying,
        glo.metrics.ssim(PICTURES, -PICTURES),
        glo.metrics.psnr(PICTURES, -PICTURES),
        embed(load_features("digits"), [PICTURES]),
    ]


def _losses(place: Place) -> Any:
    mask = (PICTURES[:, :1] > 0).float()
    return [
        loss(PICTURES, -PICTURES, known)
        for known in (None, mask)
        for loss in (glo.losses.mse, glo.losses.l1, glo.losses.lap1, glo.losses.parse_loss("l1"))
    ]


def _codes(place: Place) -> Any:
    table = glo.LatentCodes(CODES, constraint="sphere")
    return table.project_().weight, table.project_(torch.tensor([1], device="cpu")).weight


ENTRIES: dict[str, Callable[[Place], Any]] = {
    "train": _train,
    "resume": _resume,
    "fit": _fit,
    "custom": _custom,
    "partial_fit": _partial_fit,
    "open": _open,
    "use": _use,
    "gaussian": _fit_prior("gaussian"),
    "mixture": _fit_prior("mixture"),
    "flow-matching": _fit_prior("flow-matching", steps=3, width=8),
    "normalizing-flow": _fit_prior("normalizing-flow", steps=3),
    "imle": _fit_prior("imle", passes=2, pool=64, width=8),
    "invert": _invert,
    "data": _data,
    "measure": _measure,
    "losses": _losses,
    "codes": _codes,
}


def _bits(value: Any) -> Any:
    """Return the shape, type and bytes of every array in nested sequences."""
    if isinstance(value, list | tuple):
        return [_bits(each) for each in value]
    array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
    return array.dtype.name, array.shape, array.tobytes()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, glo.GLO]:
    model = glo.GLO(**OPTIONS, prior="gaussian").fit(IMAGES, LABELS)
    folder = tmp_path_factory.mktemp("defaults") / "run"
    model.save(folder)
    return folder, model


@pytest.fixture
def place(run: tuple[Path, glo.GLO], tmp_path: Path) -> Place:
    torch.manual_seed(0)
    return Place(*run, decoder=glo.open_run(run[0]).decoder, empty=tmp_path)


@pytest.fixture(scope="module")
def expected(
    run: tuple[Path, glo.GLO], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Any]:
    results: dict[str, Any] = {}

    def compute(entry: str) -> Any:
        if entry not in results:
            decoder = glo.open_run(run[0]).decoder
            place = Place(*run, decoder=decoder, empty=tmp_path_factory.mktemp("expected"))
            results[entry] = _bits(ENTRIES[entry](place))
        return results[entry]

    return compute


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_numbers_do_not_depend_on_defaults(
    entry: str, setting: str, place: Place, expected: Callable[[str], Any]
) -> None:
    wanted = expected(entry)
    with SETTINGS[setting]():
        before = _snapshot()
        result = ENTRIES[entry](place)
        assert _snapshot() == before
    assert _bits(result) == wanted


@pytest.mark.parametrize("setting", SETTINGS)
def test_errors_leave_the_defaults(setting: str, place: Place) -> None:
    def fail(training: Any, *args: Any) -> None:
        raise ZeroDivisionError

    class Failing(glo.Callback):
        on_step = fail

    with SETTINGS[setting]():
        before = _snapshot()
        with pytest.raises(ZeroDivisionError):
            glo.GLO(**OPTIONS, callbacks=[Failing()]).fit(IMAGES)
        with pytest.raises(UserError):
            glo.invert(place.decoder, PICTURES[:, :, 1:], CODES)
        with pytest.raises(UserError):
            glo.priors.GaussianPrior().fit(CODES[:1])
        assert _snapshot() == before


@pytest.mark.parametrize("setting", ["float64", "autocast", "deterministic_and_anomaly"])
def test_a_loop_of_building_blocks_has_float32_codes(setting: str) -> None:
    with SETTINGS[setting]():
        dataset = glo.open_source(IMAGES)
        decoder = glo.decoders.DCGAN(code_dim=DIM, shape=(1, 8, 8), width=4)
        codes = glo.LatentCodes(glo.pca_codes(dataset, DIM))
        optimizer = glo.RowAdam(codes.parameters(), lr=0.015)
        for rows, x in DataLoader(dataset, batch_sampler=glo.EpochSampler(N, 8)):
            before = codes.weight.detach().clone()
            glo.losses.mse(decoder(codes(rows)), x).mean().backward()
            optimizer.step()
            assert codes.project_(rows).weight.dtype == torch.float32
            assert (codes.weight != before).any(dim=1).nonzero()[:, 0].tolist() == sorted(rows)
            optimizer.zero_grad()
        found = glo.invert(decoder, dataset.batch([0, 1]), codes.weight)
    assert found.codes.dtype == found.reconstructions.dtype == torch.float32


def test_inference_tensors_are_observations_and_codes() -> None:
    decoder = glo.decoders.DCGAN(code_dim=DIM, shape=(1, 8, 8), width=4)
    starts = CODES.repeat(1, 2)[:, :DIM]
    mask = torch.ones(1, 1, 8, 8).index_fill(2, torch.arange(3), 0.0)
    options = InversionOptions(prior="local")
    expected = glo.invert(decoder, PICTURES[:2], starts, mask=mask, options=options)
    with torch.inference_mode():
        x, codes = PICTURES[:2].clone(), starts.clone()
        other = copy.deepcopy(decoder)
        assert codes.is_inference()
    found = glo.invert(decoder, x, codes, mask=mask, options=options)
    assert torch.equal(found.codes, expected.codes)
    with pytest.raises(UserError, match="inference_mode"):
        glo.invert(other, x, codes)
    assert torch.equal(
        glo.invert(copy.deepcopy(other), x, codes, mask=mask, options=options).codes, expected.codes
    )
    assert not glo.LatentCodes(codes).weight.is_inference()
