"""Codes are recovered: against closed forms, under masks, operators and priors."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glo.decoders import Decoder
from glo.inversion import (
    AveragePool,
    Blur,
    Compose,
    Grayscale,
    InitialCodes,
    Inversion,
    InversionOptions,
    invert,
)
from glo.losses import L1Loss, MSELoss

Make = Callable[..., tuple[Decoder, InitialCodes]]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def exact(**options: Any) -> InversionOptions:
    return InversionOptions(constraint="free", precision="float32", tolerance=1e-6, **options)


def parameters(decoder: nn.Module) -> tuple[Tensor, Tensor]:
    weight, bias = (p.detach().double() for p in decoder.parameters())
    return weight, bias


def posterior(
    decoder: Decoder, x: Tensor, mask: Tensor, mean: Tensor, precision: Tensor, sd: float
) -> Tensor:
    """Return the mean of z given y = W z + b + noise where observed, z ~ N(mean, precision^-1)."""
    weight, bias = parameters(decoder)
    rows = weight[mask > 0]
    inner = rows.T @ rows / sd**2 + precision.double()
    rest = (x.double() - bias)[mask > 0] - rows @ mean.double()
    return mean.double() + torch.linalg.solve(inner, rows.T @ rest / sd**2)


@pytest.mark.parametrize("missing", ["none", "mask", "nan", "both"])
def test_a_linear_decoder_is_inverted_by_least_squares(linear: Make, missing: str) -> None:
    decoder, initial = linear()
    x = draw(20, 8, seed=7)
    mask = (draw(20, 8, seed=8) > -0.4).float()
    mask[:, :4] = 1.0
    if missing == "none":
        mask = torch.ones(20, 8)
    hidden = torch.where(mask > 0, x, torch.nan) if missing in ("nan", "both") else x
    given = mask if missing in ("mask", "both") else None
    inversion = invert(decoder, hidden, initial, mask=given, options=exact())
    weight, bias = parameters(decoder)
    for i in range(20):
        rows, rest = weight[mask[i] > 0], (x[i].double() - bias)[mask[i] > 0]
        expected = torch.linalg.lstsq(rows, rest).solution
        torch.testing.assert_close(inversion.codes[i].double(), expected, atol=2e-3, rtol=1e-3)
        error = float((rows @ expected - rest).square().mean())
        assert float(inversion.residuals[i]) == pytest.approx(error, rel=1e-3, abs=1e-6)
    whole = inversion.codes.double() @ weight.T + bias
    torch.testing.assert_close(inversion.reconstructions.double(), whole, atol=1e-4, rtol=1e-4)
    assert bool(inversion.converged.all())


def test_any_module_and_a_tensor_of_codes() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 48), nn.Unflatten(1, (3, 4, 4)))
    codes = nn.Parameter(0.3 * draw(50, 3))
    images = module(codes[:5]).detach()
    inversion = invert(module, images, codes, options=InversionOptions(tolerance=1e-4))
    torch.testing.assert_close(inversion.codes, codes[:5].detach(), atol=0.02, rtol=0.02)
    assert inversion.reconstructions.shape == (5, 3, 4, 4)
    images[:, :, 0] = torch.nan
    again = invert(module, images, codes, options=InversionOptions(tolerance=1e-4))
    torch.testing.assert_close(again.codes, codes[:5].detach(), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("sd", [0.1, 1.0])
def test_a_prior_decides_where_the_observation_does_not(linear: Make, sd: float) -> None:
    decoder, initial = linear()
    root = draw(3, 3, seed=1)
    precision, mean = root @ root.T + torch.eye(3), torch.tensor([0.2, -0.1, 0.3])
    mask = torch.zeros(10, 8)
    mask[:, :2] = 1.0
    mask[5:, 2:4] = 1.0
    x = draw(10, 8, seed=7)

    def log_density(codes: Tensor) -> Tensor:
        offset = codes - mean
        # The constant of a density must not matter.
        return 1e3 - 0.5 * ((offset @ precision) * offset).sum(1)

    options = exact(prior=log_density, noise=sd)
    inversion = invert(decoder, x, initial, mask=mask, options=options)
    for i in range(10):
        expected = posterior(decoder, x[i], mask[i], mean, precision, sd)
        torch.testing.assert_close(inversion.codes[i].double(), expected, atol=5e-3, rtol=5e-3)


def test_the_local_prior_is_the_gaussian_of_the_nearest_codes(linear: Make) -> None:
    decoder, initial = linear(n=100)
    mask = torch.tensor([[1.0, 1, 0, 0, 0, 0, 0, 0]])
    x = draw(4, 8, seed=7)
    options = exact(prior="local", noise=0.3, n_solutions=3)
    inversion = invert(decoder, x, initial, mask=mask, options=options)
    # All 100 codes are neighbors, so the Gaussian is that of all.
    offset = initial.codes - initial.codes.mean(0)
    covariance = offset.T @ offset / 100
    covariance += 0.01 * covariance.diagonal().mean() * torch.eye(3)
    precision = torch.linalg.inv(covariance)
    distance = ((initial.examples[None] - x[:, None]).square() * mask).sum(2)
    for i in range(4):
        centers = [initial.codes.mean(0), *initial.codes[distance[i].argsort()[:2]]]
        expected = [posterior(decoder, x[i], mask[0], c, precision, 0.3) for c in centers]
        gaps = torch.cdist(inversion.solutions[i].double(), torch.stack(expected))
        assert float(gaps.min(0).values.max()) < 0.01
        assert float(gaps.min(1).values.max()) < 0.01


@pytest.mark.parametrize(
    "operator",
    [
        AveragePool(factor=2),
        Blur(sigma=0.6),
        Compose(parts=(Grayscale(), Blur(sigma=0.6))),
        lambda images: images.flip(3)[:, :2] ** 3,
    ],
)
def test_codes_are_recovered_through_an_operator(
    images: tuple[Decoder, InitialCodes], operator: Callable[[Tensor], Tensor]
) -> None:
    decoder, initial = images
    with torch.no_grad():
        whole = decoder(0.8 * initial.codes[:200].roll(1, 1))
        x = operator(whole)
    options = InversionOptions(operator=operator, precision="float32", tolerance=1e-4)
    inversion = invert(decoder, x, initial, options=options)
    assert float(inversion.residuals.median()) < 1e-4 * float(x.var())
    errors = (inversion.reconstructions - whole).square().flatten(1).mean(1)
    assert float(errors.median()) < 1e-3 * float(whole.var())


def test_hidden_pixels_are_recovered_and_their_values_ignored(
    images: tuple[Decoder, InitialCodes],
) -> None:
    decoder, initial = images
    with torch.no_grad():
        whole = decoder(0.8 * initial.codes[:50].roll(1, 1))
    mask = (draw(50, 1, 8, 8) > 0).float()
    options = InversionOptions(precision="float32")
    hidden = torch.where(mask > 0, whole, torch.nan)
    inversion = invert(decoder, hidden, initial, mask=mask, options=options)
    errors = ((inversion.reconstructions - whole).square() * (1 - mask)).flatten(1).mean(1)
    assert float(errors.median()) < 0.02 * float(whole.var())
    junk = torch.where(mask > 0, whole, torch.full_like(whole, 7e5))
    again = invert(decoder, junk, initial, mask=mask > 0, options=options)
    assert torch.equal(again.codes, inversion.codes)


@pytest.fixture(scope="module")
def several(images: tuple[Decoder, InitialCodes]) -> tuple[Inversion, Tensor, Tensor]:
    decoder, initial = images
    with torch.no_grad():
        whole = decoder(0.8 * initial.codes[:40].roll(1, 1))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4, 4] = 1.0
    options = InversionOptions(prior="local", noise=0.05, n_solutions=6, precision="float32")
    return invert(decoder, whole, initial, mask=mask, options=options), whole, mask


def test_solutions_are_sorted_and_explain_the_observation(
    several: tuple[Inversion, Tensor, Tensor], images: tuple[Decoder, InitialCodes]
) -> None:
    inversion, whole, mask = several
    assert inversion.solutions.shape == (40, 6, 4)
    residuals = inversion.solution_residuals
    assert torch.equal(residuals, residuals.sort(dim=1).values)
    with torch.no_grad():
        decoded = images[0](inversion.solutions.flatten(0, 1))
    loss = MSELoss()(decoded, whole.repeat_interleave(6, 0), mask)
    torch.testing.assert_close(loss.view(40, 6), residuals, atol=1e-4, rtol=1e-3)
    decoded = decoded.view(40, 6, 3, 8, 8)
    torch.testing.assert_close(inversion.mean, decoded.mean(1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(inversion.std, decoded.std(1, correction=0), atol=1e-3, rtol=1e-2)
    distances = (inversion.codes.unsqueeze(1) - inversion.solutions).norm(dim=2)
    assert float(distances.min(1).values.max()) == 0.0
    observed = mask.expand_as(inversion.std) > 0
    assert float(inversion.std[~observed].mean()) > 3 * float(inversion.std[observed].mean())


def test_more_solutions_never_give_a_worse_best(images: tuple[Decoder, InitialCodes]) -> None:
    decoder, initial = images
    x = 0.5 * draw(30, 3, 8, 8).clamp(-1, 1)
    one, five = (
        invert(decoder, x, initial, options=InversionOptions(n_solutions=k, precision="float32"))
        for k in (1, 5)
    )
    assert bool((five.residuals <= one.residuals * 1.01).all())
    assert float(five.residuals.sum()) < float(one.residuals.sum())
    assert bool((five.steps >= one.steps).all())


def test_the_same_call_gives_the_same_codes(images: tuple[Decoder, InitialCodes]) -> None:
    x = draw(20, 3, 8, 8).clamp(-1, 1)
    options = InversionOptions(n_solutions=2)
    one, two = (invert(images[0], x, images[1], options=options) for _ in range(2))
    for name, value in vars(one).items():
        assert torch.equal(value, getattr(two, name)), name


@pytest.mark.parametrize("size", [1, 7])
def test_examples_do_not_influence_each_other(
    images: tuple[Decoder, InitialCodes], size: int
) -> None:
    decoder, initial = images
    with torch.no_grad():
        x = decoder(0.8 * initial.codes[:28].roll(1, 1)) + 0.05 * draw(28, 3, 8, 8)
    options = InversionOptions(precision="float32", tolerance=1e-5)
    whole = invert(decoder, x, initial, options=options)
    parts = [invert(decoder, part, initial, options=options) for part in x.split(size)]
    codes = torch.cat([part.codes for part in parts])
    residuals = torch.cat([part.residuals for part in parts])
    torch.testing.assert_close(codes, whole.codes, atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(residuals, whole.residuals, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("constraint", ["ball", "sphere"])
def test_codes_keep_the_constraint(images: tuple[Decoder, InitialCodes], constraint: Any) -> None:
    options = InversionOptions(constraint=constraint, n_solutions=2)
    norms = invert(images[0], draw(20, 3, 8, 8), images[1], options=options).solutions.norm(dim=2)
    assert float(norms.max()) <= 1 + 1e-6
    assert constraint == "ball" or float(norms.min()) >= 1 - 1e-6


def test_loss_and_residual_loss(linear: Make) -> None:
    decoder, initial = linear()
    x = draw(20, 8, seed=7)
    square = invert(decoder, x, initial, options=exact())
    absolute = invert(decoder, x, initial, options=exact(loss=L1Loss()))
    loss = L1Loss()(square.reconstructions, x)
    assert float(absolute.residuals.sum()) < 0.99 * float(loss.sum())
    options = exact(loss=L1Loss(), residual_loss=MSELoss())
    measured = invert(decoder, x, initial, options=options)
    assert torch.equal(measured.codes, absolute.codes)
    torch.testing.assert_close(measured.residuals, MSELoss()(measured.reconstructions, x))


def test_the_decoder_is_unchanged_also_by_a_failing_callback(
    images: tuple[Decoder, InitialCodes],
) -> None:
    decoder, initial = deepcopy(images[0]).train(), images[1]
    decoder.zero_grad(set_to_none=True)
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}

    def fail(progress: object) -> bool:
        assert not any(p.requires_grad for p in decoder.parameters())
        raise KeyboardInterrupt

    invert(decoder, draw(5, 3, 8, 8), initial)
    with pytest.raises(KeyboardInterrupt):
        invert(decoder, draw(5, 3, 8, 8), initial, callback=fail)
    assert decoder.training
    assert all(p.requires_grad and p.grad is None for p in decoder.parameters())
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_decoders_of_any_precision_are_searched(dtype: torch.dtype) -> None:
    decoder = nn.Sequential(nn.Linear(2, 16), nn.Tanh()).to(dtype)
    codes = draw(200, 2) / 2
    x = decoder(codes[:10].to(dtype)).detach()
    inversion = invert(decoder, x, codes[10:])
    assert inversion.codes.dtype == inversion.reconstructions.dtype == torch.float32
    assert inversion.residuals.max() < 1e-3
    assert next(decoder.parameters()).dtype == dtype
