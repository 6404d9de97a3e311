"""One thread, builders of tiny data sets and runs, and a browser."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch

from glo.config.settings import Settings
from glo.data import Dataset
from glo.latents.init import fit_pca
from glo.training.evaluation import recompute_batchnorm_stats
from glo.training.loop import train
from glo.training.state import TrainState, init_train_state

torch.set_num_threads(1)
# A machine that does other things as well is slow now and then, which is no fault of a test.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")


@pytest.fixture(scope="session")
def vectors() -> Callable[..., Dataset]:
    """Make `n` vectors that lie near a plane of three dimensions."""

    def make(n: int, features: int = 6, seed: int = 0) -> Dataset:
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(n, 3)) @ rng.normal(size=(3, features))
        return Dataset(
            rows=(rows + 0.05 * rng.normal(size=rows.shape)).astype("float32"), name="vectors"
        )

    return make


@pytest.fixture(scope="session")
def blobs() -> Callable[..., Dataset]:
    """Make `n` grey pictures of one soft spot each, somewhere."""

    def make(n: int, side: int = 8, seed: int = 0) -> Dataset:
        centre = np.random.default_rng(seed).uniform(0.2, 0.8, (n, 2, 1, 1))
        grid = np.stack(np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2, indexing="ij"))
        distance = ((grid - centre) ** 2).sum(1)
        pixels = 255 * np.exp(-distance / 0.05)
        return Dataset(rows=pixels.round().astype("uint8")[..., None], name="blobs")

    return make


@pytest.fixture(scope="session")
def begin() -> Callable[..., TrainState]:
    """Start a tiny run in float32 on the CPU; keywords are settings."""

    def make(samples: Dataset, **choices: Any) -> TrainState:
        small = {"code_dim": 3, "width": 4, "epochs": 2, "batch_size": 4}
        settings = Settings(**{**small, "precision": "float32", "device": "cpu", **choices})
        pca = fit_pca(samples, settings.code_dim, seed=settings.seed)
        return init_train_state(samples, settings, pca)

    return make


@pytest.fixture(scope="module")
def trained(
    blobs: Callable[..., Dataset], begin: Callable[..., TrainState]
) -> tuple[TrainState, Dataset]:
    """Train on 32 pictures, with the batch norm of the final decoder."""
    samples = blobs(32)
    training = begin(samples, batch_size=8, epochs=8, decoder_lr=0.01)
    for _ in train(training, samples):
        pass
    recompute_batchnorm_stats(training.decoder, training.codes, training.settings)
    return training, samples


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a screen."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium; on Debian: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as api:
        found = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Report skipped browser tests after pytest's own last line."""
    result = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if any("no chromium" in str(report.longrepr) for report in skipped):
        reporter.write_line("browser tests were skipped: no chromium")
    return result
