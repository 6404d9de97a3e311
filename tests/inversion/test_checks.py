"""Inputs that cannot be used raise errors with the argument and its value."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from glo.decoders import Decoder
from glo.errors import UserError, UserTypeError
from glo.inversion import (
    AveragePool,
    InitialCodes,
    InversionOptions,
    decode_initial_codes,
    invert,
)

Make = Callable[..., tuple[Decoder, InitialCodes]]
NAN = float("nan")


def images_like(value: float = 0.0) -> Tensor:
    return torch.full((3, 3, 8, 8), value)


def one_pixel(value: float) -> Tensor:
    x = images_like()
    x[1, 0, 2, 2] = value
    return x


def mask(n: int = 3, empty: int | None = None) -> Tensor:
    observed = torch.ones(n, 1, 8, 8)
    if empty is not None:
        observed[empty] = 0.0
    return observed


@pytest.mark.parametrize(
    ("x", "observed", "part"),
    [
        (torch.zeros(3, 3, 16, 16), None, r"\(3, 3, 16, 16\).*\(3, 8, 8\)"),
        (torch.zeros(3, 8, 8), None, r"give \(n, 3, 8, 8\)"),
        (torch.zeros(0, 3, 8, 8), None, "no observations"),
        (images_like(255.0), None, "reaches 255"),
        (one_pixel(float("inf")), None, "Observation 1 has infinity"),
        (images_like(), mask(empty=2), "observation 2 is missing"),
        (images_like(NAN), None, "observation 0 is missing"),
        (images_like(), torch.ones(3, 1, 4, 4), r"mask has shape \(3, 1, 4, 4\)"),
        (images_like(), mask(2), r"mask has shape \(2, 1, 8, 8\)"),
        (images_like(), torch.ones(8, 8), r"mask has shape \(8, 8\)"),
        (images_like(), NAN * mask(), "mask has NaN"),
    ],
)
def test_bad_observations(
    images: tuple[Decoder, InitialCodes], x: Tensor, observed: Tensor | None, part: str
) -> None:
    with pytest.raises(UserError, match=part):
        invert(images[0], x, images[1], mask=observed)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"operator": lambda x: x[:1]}, "operator"),
        ({"operator": lambda x: x.sum()}, "operator"),
        ({"operator": lambda x: [x]}, "operator.* list"),
        ({"operator": lambda x: x.flatten(1).mean(1)}, "operator"),
        ({"operator": lambda x: x.detach()}, "gradient"),
        ({"operator": lambda x: x / 0 * 0}, "NaN or infinity"),
        ({"operator": AveragePool(factor=2)}, r"operator.*\(3, 4, 4\)"),
        ({"operator": AveragePool(factor=3)}, "factor 3"),
        ({"n_solutions": 0}, "n_solutions is 0"),
        ({"n_solutions": 401}, "n_solutions is 401.* 400 "),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"noise": 0.0}, "noise is 0"),
        ({"noise": NAN}, "noise is nan"),
        ({"tolerance": -0.1}, "tolerance is -0.1"),
        ({"tolerance": NAN}, "tolerance is nan"),
        ({"prior": "locla"}, "'locla'.*Did you mean 'local'"),
        ({"prior": lambda z: -z.square()}, r"\(2, 4\) for 2 codes"),
        ({"prior": lambda z: -z.detach().sum(1)}, "without a gradient"),
    ],
)
def test_bad_options(
    images: tuple[Decoder, InitialCodes], options: dict[str, Any], part: str
) -> None:
    with pytest.raises(UserError, match=part):
        invert(images[0], images_like(), images[1], options=InversionOptions(**options))


def test_observations_are_floating_point(images: tuple[Decoder, InitialCodes]) -> None:
    with pytest.raises(UserTypeError, match="uint8"):
        invert(images[0], images_like().to(torch.uint8), images[1])


def test_initial_codes_are_of_the_same_decoder_and_differ(
    images: tuple[Decoder, InitialCodes], linear: Make
) -> None:
    with pytest.raises(UserError, match="initial codes have 3 numbers"):
        invert(images[0], torch.zeros(2, 8), linear()[1])
    with pytest.raises(UserError, match="equal"):
        invert(images[0], images_like(), decode_initial_codes(images[0], torch.zeros(9, 4)))


def test_vectors_of_any_size_and_two_initial_codes_can_be_used(linear: Make) -> None:
    decoder, initial = linear()
    x = 1000 * torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    for codes, options in (
        (initial, InversionOptions(constraint="free")),
        (torch.tensor([[0.1, 0.2, 0.3], [0.0, -0.4, 0.1]]), InversionOptions(n_solutions=2)),
    ):
        inversion = invert(decoder, x, codes, options=options)
        assert bool(torch.isfinite(inversion.reconstructions).all())
