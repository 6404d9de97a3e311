"""Contract of every prior."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.builders import cut, flip

from glo.errors import UserError
from glo.priors import (
    FlowMatchingPrior,
    GaussianPrior,
    IMLEPrior,
    MixturePrior,
    NormalizingFlowPrior,
    Prior,
    build_prior,
    load_prior,
    save_prior,
)
from glo.priors.serialization import write_tensors_with_checksum
from glo.utils.random import normal


@dataclass(frozen=True)
class Kind:
    """A prior with settings of a fast fit."""

    prior: type[Prior]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.prior.name

    def __call__(self, **more: Any) -> Prior:
        return self.prior(**self.settings, **more)


KINDS = [
    Kind(GaussianPrior),
    Kind(MixturePrior),
    Kind(FlowMatchingPrior, {"steps": 8, "batch_size": 64, "width": 16, "blocks": 1}),
    Kind(NormalizingFlowPrior, {"steps": 8, "layers": 2, "width": 16}),
    Kind(IMLEPrior, {"passes": 6, "pool": 128, "width": 16, "blocks": 1}),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@pytest.fixture
def codes() -> torch.Tensor:
    return some_codes()


@pytest.fixture
def fitted(kind: Kind) -> Prior:
    """A fitted prior, shared by all tests."""
    return fit_once(KINDS.index(kind))


@cache
def fit_once(number: int) -> Prior:
    return KINDS[number]().fit(some_codes())


def some_codes() -> torch.Tensor:
    return normal(0, 0, 200, 5, stream="samples") * 0.3 + torch.tensor([0.4, 0.0, 0.0, -0.2, 0.1])


def test_sample_j_of_a_seed_is_independent_of_n(fitted: Prior) -> None:
    many = fitted.sample(300, seed=9)
    assert many.dtype == torch.float32
    assert len(many.unique(dim=0)) == 300
    for n in (1, 17, 64, 299):
        assert torch.equal(fitted.sample(n, seed=9), many[:n])
        assert torch.equal(fitted.sample(300 - n, seed=9, start=n), many[n:])
    assert not torch.equal(fitted.sample(300, seed=10), many)


@pytest.mark.parametrize(("constraint", "low", "high"), [("ball", 0, 1), ("sphere", 1, 1)])
def test_samples_lie_on_the_constraint(
    kind: Kind, codes: torch.Tensor, constraint: str, low: float, high: float
) -> None:
    norms = kind(constraint=constraint).fit(codes).sample(500, temperature=9.0).norm(dim=1)
    assert norms.min() >= low - 1e-5
    assert norms.max() <= high + 1e-5


def test_a_saved_prior_is_loaded_unchanged(tmp_path: Path, kind: Kind, codes: torch.Tensor) -> None:
    before = codes.clone()
    prior = kind(constraint="sphere").fit(codes)
    assert torch.equal(codes, before)
    path = save_prior(prior, tmp_path / "prior")
    assert [p.name for p in path.parent.iterdir()] == [f"{kind.name}.safetensors"]
    again = load_prior(tmp_path / "prior", kind.name)
    assert type(again) is kind.prior
    assert again.config == prior.config
    assert again.constraint == "sphere"
    assert torch.equal(again.sample(50, seed=3), prior.sample(50, seed=3))


def no_metadata(path: Path) -> None:
    save_file(load_file(path), path)


def other_numbers(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file({name: value + 1 for name, value in load_file(path).items()}, path, metadata)


def other_constraint(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    about = json.loads(metadata["prior"])
    about["config"] |= {"constraint": "sphere"}
    save_file(load_file(path), path, metadata | {"prior": json.dumps(about)})


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "emptied": lambda path: path.write_bytes(b""),
    "first byte": lambda path: flip(path, 0.0),
    "a byte of the header": lambda path: flip(path, 0.1),
    "last byte": lambda path: flip(path, 1.0),
    "a byte of the numbers": lambda path: flip(path, 0.8),
    "no metadata": no_metadata,
    "other numbers": other_numbers,
    "other constraint": other_constraint,
    "text": lambda path: path.write_text("hello"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = save_prior(GaussianPrior().fit(some_codes()), tmp_path)
    DAMAGES[damage](path)
    with pytest.raises(UserError, match=re.escape(str(path))):
        load_prior(tmp_path, "gaussian")


def test_a_file_without_a_tensor_is_refused(tmp_path: Path, fitted: Prior) -> None:
    state = fitted.state_dict()
    description = {"name": fitted.name, "config": fitted.config}
    path = tmp_path / f"{fitted.name}.safetensors"
    for name in list(state)[:3]:
        others = {key: value for key, value in state.items() if key != name}
        write_tensors_with_checksum(path, description, others)
        with pytest.raises(UserError, match=re.escape(str(path))):
            load_prior(tmp_path, fitted.name)


def test_a_missing_prior_is_named(tmp_path: Path, kind: Kind, fitted: Prior) -> None:
    with pytest.raises(UserError, match=f"'{kind.name}'.* none"):
        load_prior(tmp_path, kind.name)
    save_prior(fitted, tmp_path)
    with pytest.raises(UserError, match=f"'flaw'.* {kind.name}"):
        load_prior(tmp_path, "flaw")


def test_invalid_codes_are_refused(kind: Kind, codes: torch.Tensor) -> None:
    for value in (float("nan"), float("inf"), -float("inf")):
        codes[17, 3] = value
        with pytest.raises(UserError, match="codes"):
            kind().fit(codes)
    for shape in ((1, 5), (0, 5), (5,), (2, 3, 4)):
        with pytest.raises(UserError, match="codes"):
            kind().fit(torch.zeros(shape))


DEGENERATE = {
    "all the same": torch.full((10, 4), 0.3),
    "all zero": torch.zeros(10, 4),
    "on a line": torch.linspace(-1, 1, 10)[:, None] * torch.tensor([1.0, 2.0, 0.0, -1.0]),
    "fewer than numbers": torch.eye(4)[:2],
    "one number": torch.tensor([[0.0], [1.0]]),
    "tiny": normal(0, 0, 10, 4, stream="samples") * 1e-18,
    "huge": normal(0, 0, 10, 4, stream="samples") * 1e15,
    "very different spreads": normal(0, 0, 50, 4, stream="samples")
    * torch.tensor([1e6, 1.0, 1e-6, 0.0]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_codes(kind: Kind, name: str) -> None:
    rows = DEGENERATE[name]
    drawn = kind().fit(rows).sample(200, seed=1)
    assert torch.isfinite(drawn).all()
    reach = (rows - rows.mean(0)).abs().max()
    assert (drawn - rows.mean(0)).abs().max() <= 8 * reach + 1e-5


def test_invalid_arguments_of_sample_are_named(fitted: Prior) -> None:
    for n in (0, -1):
        with pytest.raises(UserError, match=f"n is {n}"):
            fitted.sample(n)
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=f"temperature {temperature:g}"):
            fitted.sample(3, temperature=temperature)


def test_an_unfitted_prior_cannot_sample(kind: Kind) -> None:
    with pytest.raises(UserError, match="not fitted"):
        kind().sample(3)


def test_fitting_is_a_function_of_the_seed(kind: Kind, codes: torch.Tensor) -> None:
    one, two = kind().fit(codes, seed=4).state_dict(), kind().fit(codes, seed=4).state_dict()
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


def test_any_integer_is_a_seed(kind: Kind, codes: torch.Tensor) -> None:
    for seed in (-1, 2**64 + 1):
        assert torch.isfinite(kind().fit(codes, seed=seed).sample(3, seed=seed)).all()


def test_global_generators_are_unchanged(tmp_path: Path, kind: Kind, codes: torch.Tensor) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state(legacy=False)
    # Between two parts of a fit, too: a caller may draw there.
    for _ in kind().fit_iter(codes):
        assert torch.equal(torch.get_rng_state(), torch_state)
    save_prior(kind().fit(codes), tmp_path)
    load_prior(tmp_path, kind.name).sample(3)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(legacy=False), numpy_state)


def test_a_fit_is_independent_of_global_generators(kind: Kind, codes: torch.Tensor) -> None:
    fits = []
    for other in (1, 2):
        torch.manual_seed(other)
        np.random.seed(other)
        fits.append(kind().fit(codes).sample(20))
    assert torch.equal(*fits)


def test_the_fraction_rises_to_one(kind: Kind, codes: torch.Tensor) -> None:
    fractions = list(kind().fit_iter(codes))
    assert fractions[-1] == 1.0
    assert all(0 < one < two for one, two in pairwise(fractions))


def test_a_sample_depends_on_its_noise_alone(fitted: Prior) -> None:
    noise = normal(3, 0, 128, fitted.noise_dim, stream="samples")
    changed = noise.clone()
    changed[7:] = 0.3
    first = fitted.from_noise(noise, temperature=1.0)
    assert first.dtype == torch.float32
    assert first.shape == (128, 5)
    assert not first.requires_grad
    assert torch.equal(fitted.from_noise(changed, temperature=1.0)[:7], first[:7])


def test_a_low_temperature_lowers_the_variance(fitted: Prior) -> None:
    wide, narrow = fitted.sample(500), fitted.sample(500, temperature=0.2)
    assert narrow.var(0).sum() < wide.var(0).sum()


def test_a_second_fit_replaces_the_first(kind: Kind, codes: torch.Tensor) -> None:
    prior = kind().fit(codes)
    moved = prior.fit(codes[:, :3] + 100.0).sample(50)
    assert moved.shape == (50, 3)
    assert moved.mean() > 90


def test_it_is_built_by_name(kind: Kind) -> None:
    prior = build_prior(kind.name, constraint="ball")
    assert type(prior) is kind.prior
    assert prior.constraint == "ball"
    assert json.loads(json.dumps(prior.config)) == prior.config
