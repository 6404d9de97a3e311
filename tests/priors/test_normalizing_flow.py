"""The normalizing flow: a density that sums to one, and what happens without zuko."""

import math
import sys
from pathlib import Path

import pytest
import torch

from glo.errors import UserError
from glo.latents.constraints import project
from glo.priors import NormalizingFlowPrior, load_prior, save_prior
from glo.utils.random import normal

MIX = torch.tensor([[1.0, 0.0], [0.8, 0.3]])


def flow(**settings: float) -> NormalizingFlowPrior:
    return NormalizingFlowPrior(
        **{"steps": 80, "batch_size": 64, "layers": 4, "width": 32, **settings}
    )  # type: ignore[arg-type]


def moons(n: int = 600) -> torch.Tensor:
    rows = normal(0, 0, n, 2, stream="codes")
    return torch.stack([rows[:, 0], rows[:, 0] ** 2 + 0.3 * rows[:, 1]], dim=1) + 2.0


@pytest.fixture(scope="module")
def prior() -> NormalizingFlowPrior:
    return flow().fit(moons())


def test_the_density_sums_to_one(prior: NormalizingFlowPrior) -> None:
    side = torch.linspace(-8.0, 16.0, 241)
    grid = torch.cartesian_prod(side, side)
    total = prior.log_prob(grid).exp().sum() * 0.1**2
    assert float(total) == pytest.approx(1.0, abs=0.02)


def test_the_density_is_that_of_the_samples(prior: NormalizingFlowPrior) -> None:
    noise = normal(1, 0, 128, 2, stream="samples")
    drawn = prior.from_noise(noise, temperature=1.0)
    jacobian = torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda row: prior.from_noise(row[None], temperature=1.0)[0], row
            )
            for row in noise[:8]
        ]
    )
    base = -noise[:8].square().sum(1) / 2 - math.log(2 * math.pi)
    expected = base - torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(prior.log_prob(drawn[:8]), expected.double(), atol=1e-2, rtol=1e-3)


def test_the_density_has_a_gradient_by_the_codes_alone(prior: NormalizingFlowPrior) -> None:
    codes = moons(5).requires_grad_()
    (slope,) = torch.autograd.grad(prior.log_prob(codes).sum(), codes)
    for place in range(2):
        ahead, behind = codes.detach().clone(), codes.detach().clone()
        ahead[:, place] += 1e-2
        behind[:, place] -= 1e-2
        expected = (prior.log_prob(ahead) - prior.log_prob(behind)) / 2e-2
        torch.testing.assert_close(slope[:, place].double(), expected, atol=0.1, rtol=0.05)
    assert not any(weight.requires_grad for weight in prior.network_.parameters())
    assert not prior.log_prob(codes.detach()).requires_grad


def test_it_beats_a_gaussian_where_codes_are_bent() -> None:
    codes, unseen = moons(2000), normal(7, 0, 500, 2, stream="samples")
    unseen = torch.stack([unseen[:, 0], unseen[:, 0] ** 2 + 0.3 * unseen[:, 1]], dim=1) + 2.0
    gaussian = torch.distributions.MultivariateNormal(codes.mean(0), torch.cov(codes.T))
    fitted = flow(steps=200).fit(codes).log_prob(unseen).mean()
    assert fitted > gaussian.log_prob(unseen).mean() + 0.5


def test_codes_that_lie_on_the_sphere_in_part() -> None:
    codes = project(normal(2, 0, 600, 3, stream="codes") * 0.7, "ball")
    assert 0.2 < float((codes.norm(dim=1) > 0.9999).double().mean()) < 0.8
    prior = flow(constraint="ball").fit(codes)  # type: ignore[arg-type]
    assert torch.isfinite(prior.log_prob(codes)).all()
    drawn = prior.sample(500)
    assert float(drawn.norm(dim=1).max()) <= 1 + 1e-5
    assert float(drawn.norm(dim=1).mean()) == pytest.approx(
        float(codes.norm(dim=1).mean()), abs=0.1
    )


def test_temperature_scales_the_noise(prior: NormalizingFlowPrior) -> None:
    noise = normal(1, 0, 128, 2, stream="samples")
    assert torch.equal(
        prior.from_noise(noise, temperature=0.5), prior.from_noise(0.5 * noise, temperature=1.0)
    )


def test_without_zuko(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save_prior(flow(steps=2).fit(moons(20)), tmp_path)
    monkeypatch.setitem(sys.modules, "zuko", None)
    monkeypatch.setitem(sys.modules, "zuko.flows", None)
    with pytest.raises(UserError, match=r"pip install .*\[flow\]"):
        flow().fit(moons(20))
    with pytest.raises(UserError, match=r"pip install .*\[flow\]"):
        load_prior(tmp_path, "normalizing-flow")


@pytest.mark.parametrize(
    "settings", [{"steps": 0}, {"batch_size": 0}, {"layers": 0}, {"lr": 0.0}, {"noise": -1.0}]
)
def test_invalid_settings_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        flow(**settings)
