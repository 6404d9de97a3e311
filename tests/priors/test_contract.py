"""What every prior keeps, whichever it is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.builders import cut, flip

from glo.draws import normal
from glo.errors import UserError
from glo.priors import GaussianPrior, Prior, load_prior, save_prior

PRIORS: list[type[Prior]] = [GaussianPrior]


@pytest.fixture(params=PRIORS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> type[Prior]:
    found: type[Prior] = request.param
    return found


@pytest.fixture
def codes() -> torch.Tensor:
    return normal(0, 0, 200, 5, stream="samples") * 0.3 + torch.tensor([0.4, 0.0, 0.0, -0.2, 0.1])


@pytest.mark.parametrize("n", [1, 2, 3, 17, 64, 299])
def test_sample_j_of_a_seed_is_the_same_whatever_n(
    kind: type[Prior], codes: torch.Tensor, n: int
) -> None:
    prior = kind().fit(codes)
    many = prior.sample(300, seed=9)
    assert torch.equal(prior.sample(n, seed=9), many[:n])
    assert torch.equal(prior.sample(300 - n, seed=9, start=n), many[n:])
    assert not torch.equal(prior.sample(n, seed=10), many[:n])


def test_samples_are_new_each(kind: type[Prior], codes: torch.Tensor) -> None:
    drawn = kind().fit(codes).sample(100)
    assert drawn.dtype == torch.float32
    assert drawn.shape == (100, 5)
    assert len(drawn.unique(dim=0)) == 100


@pytest.mark.parametrize(("constraint", "low", "high"), [("ball", 0, 1), ("sphere", 1, 1)])
def test_samples_lie_on_the_constraint(
    kind: type[Prior], codes: torch.Tensor, constraint: str, low: float, high: float
) -> None:
    norms = kind(constraint=constraint).fit(codes).sample(500, temperature=9.0).norm(dim=1)
    assert norms.min() >= low - 1e-5
    assert norms.max() <= high + 1e-5


def test_fitting_changes_no_code(kind: type[Prior], codes: torch.Tensor) -> None:
    before = codes.clone()
    kind().fit(codes)
    assert torch.equal(codes, before)


@pytest.mark.parametrize("constraint", ["ball", "sphere", "free"])
def test_it_comes_back_from_disk(
    tmp_path: Path, kind: type[Prior], codes: torch.Tensor, constraint: str
) -> None:
    prior = kind(constraint=constraint).fit(codes)
    path = save_prior(prior, tmp_path / "prior")
    assert [p.name for p in path.parent.iterdir()] == [f"{kind.name}.safetensors"]
    again = load_prior(tmp_path / "prior", kind.name)
    assert type(again) is kind
    assert again.constraint == constraint
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
def test_a_damaged_file_is_one_sentence(
    tmp_path: Path, kind: type[Prior], codes: torch.Tensor, damage: str
) -> None:
    path = save_prior(kind().fit(codes), tmp_path)
    DAMAGES[damage](path)
    with pytest.raises(UserError, match="cannot be read as a prior") as caught:
        load_prior(tmp_path, kind.name)
    assert str(caught.value).endswith("fit it again.")
    assert str(path) in str(caught.value)


def test_a_prior_that_is_not_there(tmp_path: Path, kind: type[Prior], codes: torch.Tensor) -> None:
    with pytest.raises(UserError, match=f"has no prior '{kind.name}'; it has none"):
        load_prior(tmp_path, kind.name)
    save_prior(kind().fit(codes), tmp_path)
    with pytest.raises(UserError, match=f"has no prior 'flaw'; it has {kind.name}"):
        load_prior(tmp_path, "flaw")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_codes_that_are_not_finite(kind: type[Prior], codes: torch.Tensor, value: float) -> None:
    codes[17, 3] = value
    with pytest.raises(UserError, match="codes hold NaN or infinity"):
        kind().fit(codes)


@pytest.mark.parametrize("shape", [(1, 5), (0, 5), (5,), (2, 3, 4)])
def test_codes_of_another_shape(kind: type[Prior], shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="at least two rows"):
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
def test_degenerate_codes(kind: type[Prior], name: str) -> None:
    rows = DEGENERATE[name]
    drawn = kind().fit(rows).sample(200, seed=1)
    assert torch.isfinite(drawn).all()
    reach = (rows - rows.mean(0)).abs().max()
    assert (drawn - rows.mean(0)).abs().max() <= 8 * reach + 1e-5


@pytest.mark.parametrize("n", [0, -1])
def test_no_samples(kind: type[Prior], codes: torch.Tensor, n: int) -> None:
    with pytest.raises(UserError, match=f"n is {n}"):
        kind().fit(codes).sample(n)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperatures_that_mean_nothing(
    kind: type[Prior], codes: torch.Tensor, temperature: float
) -> None:
    with pytest.raises(UserError, match=f"temperature {temperature:g}"):
        kind().fit(codes).sample(3, temperature=temperature)


def test_it_samples_only_after_fitting(kind: type[Prior]) -> None:
    with pytest.raises(UserError, match=r"call fit\(codes\) first"):
        kind().sample(3)
