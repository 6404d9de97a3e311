"""Tiny finished runs, of pictures and of vectors, with small priors of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.builders import finish

from glo.data import Dataset
from glo.priors import Prior, build_prior, save_prior
from glo.runs.run import Run, open_run

SMALL: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "mixture": {"components": 3},
    "flow-matching": {
        "components": 2, "steps": 20, "batch_size": 64, "width": 16, "blocks": 1, "integration": 2,
    },
    "imle": {"passes": 2, "pool": 64, "width": 8},
}  # fmt: skip


def add_priors(folder: Path) -> Run:
    """Fit small priors to the codes of a run, and keep them there as `fit_prior` does."""
    run = open_run(folder)
    for name, config in SMALL.items():
        prior: Prior = build_prior(name, constraint=run.settings.constraint, **config)
        save_prior(prior.fit(run.codes), folder / "prior")
    return run


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, blobs: Callable[..., Dataset]) -> Run:
    """A finished run of 40 pictures of 8 x 8 pixels with two labels."""
    folder = tmp_path_factory.mktemp("pictures") / "run"
    rows = blobs(40).rows
    labels = np.arange(40) % 2
    data = Dataset(rows=rows, labels=labels, label_names=("even", "odd"), name="blobs")
    more = {"prior": "gaussian", "encoder": "on"}
    finish(folder, data, precision="float32", device="cpu", **more)
    return add_priors(folder)


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory, vectors: Callable[..., Dataset]) -> Run:
    """A finished run of 40 vectors whose columns are far from mean 0 and deviation 1."""
    folder = tmp_path_factory.mktemp("numbers") / "run"
    rows = (vectors(40).rows * 100 + 1000).astype("float32")
    data = Dataset(rows=rows, name="vectors")
    more = {"decoder": "mlp", "constraint": "sphere", "prior": "mixture", "encoder": "on"}
    finish(folder, data, precision="float32", device="cpu", **more)
    return add_priors(folder)
