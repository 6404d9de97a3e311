"""Codes are found again: against closed forms, under masks, operators and priors."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from glo.decoders import Decoder
from glo.inversion import AveragePool, Blur, Chain, Grey, InitialCodes, Inversion, invert
from glo.losses import L1Loss, MSELoss

Make = Callable[..., tuple[Decoder, InitialCodes]]
EXACT: dict[str, Any] = {"constraint": "free", "precision": "float32", "tolerance": 1e-6}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(decoder: Decoder) -> tuple[Tensor, Tensor]:
    weight, bias = (p.detach().double() for p in decoder.parameters())
    return weight, bias


def posterior(
    decoder: Decoder, seen: Tensor, mask: Tensor, mean: Tensor, precision: Tensor, sd: float
) -> Tensor:
    """Return the mean of z given y = W z + b + noise where observed, z ~ N(mean, precision^-1)."""
    weight, bias = parameters(decoder)
    into = weight[mask > 0]
    inner = into.T @ into / sd**2 + precision.double()
    rest = (seen.double() - bias)[mask > 0] - into @ mean.double()
    return mean.double() + torch.linalg.solve(inner, into.T @ rest / sd**2)


@pytest.mark.parametrize("masked", [False, True])
def test_a_linear_decoder_is_inverted_by_least_squares(linear: Make, masked: bool) -> None:
    decoder, starts = linear()
    seen = draw(20, 8, seed=7)
    mask = (draw(20, 8, seed=8) > -0.4).float()
    mask[:, :4] = 1.0
    mask = mask if masked else torch.ones(20, 8)
    hidden = torch.where(mask > 0, seen, torch.nan)
    found = invert(decoder, hidden, starts=starts, observed=mask if masked else None, **EXACT)
    weight, bias = parameters(decoder)
    for i in range(20):
        into, rest = weight[mask[i] > 0], (seen[i].double() - bias)[mask[i] > 0]
        wanted = torch.linalg.lstsq(into, rest).solution
        torch.testing.assert_close(found.codes[i].double(), wanted, atol=2e-3, rtol=1e-3)
        error = float((into @ wanted - rest).square().mean())
        assert float(found.residual[i]) == pytest.approx(error, rel=1e-3, abs=1e-6)
    whole = found.codes.double() @ weight.T + bias
    torch.testing.assert_close(found.reconstructions.double(), whole, atol=1e-4, rtol=1e-4)
    assert bool(found.converged.all())


@pytest.mark.parametrize("sd", [0.1, 1.0])
def test_a_prior_decides_what_the_observation_leaves_open(linear: Make, sd: float) -> None:
    decoder, starts = linear()
    root = draw(3, 3, seed=1)
    precision, mean = root @ root.T + torch.eye(3), torch.tensor([0.2, -0.1, 0.3])
    mask = torch.zeros(10, 8)
    mask[:, :2] = 1.0
    mask[5:, 2:4] = 1.0
    seen = draw(10, 8, seed=7)

    def log_density(codes: Tensor) -> Tensor:
        apart = codes - mean
        # No density is normalised here: a constant must not matter.
        return 1e3 - 0.5 * ((apart @ precision) * apart).sum(1)

    found = invert(
        decoder, seen, starts=starts, observed=mask, prior=log_density, noise=sd, **EXACT
    )
    for i in range(10):
        wanted = posterior(decoder, seen[i], mask[i], mean, precision, sd)
        torch.testing.assert_close(found.codes[i].double(), wanted, atol=5e-3, rtol=5e-3)


def test_the_local_prior_is_the_gaussian_of_the_nearest_starts(linear: Make) -> None:
    decoder, starts = linear(n=100)
    mask = torch.tensor([[1.0, 1, 0, 0, 0, 0, 0, 0]])
    seen = draw(4, 8, seed=7)
    found = invert(
        decoder, seen, starts=starts, observed=mask, prior="local", noise=0.3, answers=3, **EXACT
    )
    # All 100 starts are neighbours, so the Gaussian is that of all.
    apart = starts.codes - starts.codes.mean(0)
    covariance = apart.T @ apart / 100
    covariance += 0.01 * covariance.diagonal().mean() * torch.eye(3)
    distance = ((starts.examples[None] - seen[:, None]).square() * mask).sum(2)
    for i in range(4):
        nearest = starts.codes[distance[i].argsort()[:2]]
        centres = [starts.codes.mean(0), *nearest]
        wanted = torch.stack(
            [
                posterior(decoder, seen[i], mask[0], c, torch.linalg.inv(covariance), 0.3)
                for c in centres
            ]
        )
        gaps = torch.cdist(found.alternatives[i].double(), wanted)
        assert float(gaps.min(0).values.max()) < 0.01
        assert float(gaps.min(1).values.max()) < 0.01


@pytest.mark.parametrize(
    "operator",
    [
        AveragePool(factor=2),
        Blur(sigma=0.6),
        Grey(),
        Chain(parts=(Grey(), Blur(sigma=0.6))),
        lambda images: images.flip(3)[:, :2] ** 3,
    ],
)
def test_codes_are_found_through_an_operator(
    images: tuple[Decoder, InitialCodes], operator: Callable[[Tensor], Tensor]
) -> None:
    decoder, starts = images
    codes = 0.8 * starts.codes[:200].roll(1, 1)
    with torch.no_grad():
        whole = decoder(codes)
        seen = operator(whole)
    found = invert(
        decoder, seen, starts=starts, operator=operator, precision="float32", tolerance=1e-4
    )
    assert float(found.residual.median()) < 1e-4 * float(seen.var())
    errors = (found.reconstructions - whole).square().flatten(1).mean(1)
    assert float(errors.median()) < 1e-3 * float(whole.var())


def test_hidden_pixels_are_filled(images: tuple[Decoder, InitialCodes]) -> None:
    decoder, starts = images
    with torch.no_grad():
        whole = decoder(0.8 * starts.codes[:50].roll(1, 1))
    mask = (draw(50, 1, 8, 8) > 0).float()
    hidden = torch.where(mask > 0, whole, torch.nan)
    found = invert(decoder, hidden, starts=starts, observed=mask, precision="float32")
    filled = ((found.reconstructions - whole).square() * (1 - mask)).flatten(1).mean(1)
    assert float(filled.median()) < 0.02 * float(whole.var())
    junk = torch.where(mask > 0, whole, torch.full_like(whole, 7e5))
    again = invert(decoder, junk, starts=starts, observed=mask > 0, precision="float32")
    assert torch.equal(again.codes, found.codes)


@pytest.fixture(scope="module")
def several(images: tuple[Decoder, InitialCodes]) -> tuple[Inversion, Tensor, Tensor]:
    decoder, starts = images
    with torch.no_grad():
        whole = decoder(0.8 * starts.codes[:40].roll(1, 1))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4, 4] = 1.0
    found = invert(
        decoder,
        whole,
        starts=starts,
        observed=mask,
        prior="local",
        noise=0.05,
        answers=6,
        precision="float32",
    )
    return found, whole, mask


def test_alternatives_are_sorted_and_explain_what_was_seen(
    several: tuple[Inversion, Tensor, Tensor], images: tuple[Decoder, InitialCodes]
) -> None:
    found, whole, mask = several
    assert found.alternatives.shape == (40, 6, 4)
    residuals = found.alternative_residuals
    assert torch.equal(residuals, residuals.sort(dim=1).values)
    with torch.no_grad():
        decoded = images[0](found.alternatives.flatten(0, 1))
    loss = MSELoss()(decoded, whole.repeat_interleave(6, 0), mask)
    torch.testing.assert_close(loss.view(40, 6), residuals, atol=1e-4, rtol=1e-3)
    decoded = decoded.view(40, 6, 3, 8, 8)
    torch.testing.assert_close(found.average, decoded.mean(1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.deviation, decoded.std(1, correction=0), atol=1e-3, rtol=1e-2)
    best = found.codes.unsqueeze(1) - found.alternatives
    assert float(best.norm(dim=2).min(1).values.max()) == 0.0


def test_answers_agree_where_something_was_seen_and_differ_elsewhere(
    several: tuple[Inversion, Tensor, Tensor],
) -> None:
    found, _, mask = several
    seen = mask.expand_as(found.deviation) > 0
    assert float(found.deviation[~seen].mean()) > 3 * float(found.deviation[seen].mean())


def test_more_answers_never_give_a_worse_best(images: tuple[Decoder, InitialCodes]) -> None:
    decoder, starts = images
    target = 0.5 * draw(30, 3, 8, 8).clamp(-1, 1)
    one, five = (
        invert(decoder, target, starts=starts, answers=k, precision="float32") for k in (1, 5)
    )
    assert bool((five.residual <= one.residual * 1.01).all())
    assert float(five.residual.sum()) < float(one.residual.sum())
    assert bool((five.steps >= one.steps).all())


def test_the_same_call_gives_the_same_codes(images: tuple[Decoder, InitialCodes]) -> None:
    decoder, starts = images
    target = draw(20, 3, 8, 8).clamp(-1, 1)
    one, two = (invert(decoder, target, starts=starts, answers=2) for _ in range(2))
    for name, value in vars(one).items():
        assert torch.equal(value, getattr(two, name)), name


@pytest.mark.parametrize("size", [1, 7])
def test_examples_do_not_influence_each_other(
    images: tuple[Decoder, InitialCodes], size: int
) -> None:
    decoder, starts = images
    with torch.no_grad():
        target = decoder(0.8 * starts.codes[:28].roll(1, 1)) + 0.05 * draw(28, 3, 8, 8)
    choices: dict[str, Any] = {"starts": starts, "precision": "float32", "tolerance": 1e-5}
    whole = invert(decoder, target, **choices)
    parts = [invert(decoder, part, **choices) for part in target.split(size)]
    codes = torch.cat([part.codes for part in parts])
    residual = torch.cat([part.residual for part in parts])
    torch.testing.assert_close(codes, whole.codes, atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(residual, whole.residual, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("constraint", ["ball", "sphere"])
def test_codes_keep_the_constraint(images: tuple[Decoder, InitialCodes], constraint: Any) -> None:
    decoder, starts = images
    found = invert(decoder, draw(20, 3, 8, 8), starts=starts, constraint=constraint, answers=2)
    norms = found.alternatives.norm(dim=2)
    assert float(norms.max()) <= 1 + 1e-6
    assert constraint == "ball" or float(norms.min()) >= 1 - 1e-6


def test_the_loss_is_the_callers(linear: Make) -> None:
    decoder, starts = linear()
    target = draw(20, 8, seed=7)
    square = invert(decoder, target, starts=starts, **EXACT)
    absolute = invert(decoder, target, starts=starts, loss=L1Loss(), **EXACT)
    loss = L1Loss()(square.reconstructions, target)
    assert float(absolute.residual.sum()) < 0.99 * float(loss.sum())


def test_residuals_are_told_in_the_callers_measure(linear: Make) -> None:
    decoder, starts = linear()
    target = draw(20, 8, seed=7)
    plain = invert(decoder, target, starts=starts, loss=L1Loss(), **EXACT)
    told = invert(decoder, target, starts=starts, loss=L1Loss(), measure=MSELoss(), **EXACT)
    assert torch.equal(told.codes, plain.codes)
    torch.testing.assert_close(told.residual, MSELoss()(told.reconstructions, target))


def test_the_decoder_comes_back_as_it_was(images: tuple[Decoder, InitialCodes]) -> None:
    decoder, starts = deepcopy(images[0]).train(), images[1]
    decoder.zero_grad(set_to_none=True)
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    invert(decoder, draw(5, 3, 8, 8), starts=starts)
    assert decoder.training
    assert all(p.requires_grad and p.grad is None for p in decoder.parameters())
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name
