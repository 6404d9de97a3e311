"""Every mistake gets one sentence that says what was given and what is allowed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from glo.decoders import Decoder
from glo.errors import UserError, UserTypeError
from glo.inversion import AveragePool, InitialCodes, decode_initial_codes, invert

Make = Callable[..., tuple[Decoder, InitialCodes]]
NAN = float("nan")


def images_like(value: float = 0.0, n: int = 3) -> Tensor:
    return torch.full((n, 3, 8, 8), value)


def spoiled(value: float) -> Tensor:
    target = images_like()
    target[1, 0, 2, 2] = value
    return target


def mask(n: int = 3, empty: int | None = None) -> Tensor:
    observed = torch.ones(n, 1, 8, 8)
    if empty is not None:
        observed[empty] = 0.0
    return observed


@pytest.mark.parametrize(
    ("target", "choices", "says"),
    [
        (torch.zeros(3, 3, 16, 16), {}, r"\(3, 3, 16, 16\).*has shape \(3, 8, 8\); give \(n, 3"),
        (torch.zeros(3, 8, 8), {}, r"give \(n, 3, 8, 8\)"),
        (torch.zeros(0, 3, 8, 8), {}, "no observations"),
        (images_like(255.0), {}, "reaches 255, but pixels"),
        (spoiled(NAN), {}, "Observation 1 holds NaN"),
        (spoiled(float("inf")), {}, "Observation 1 holds NaN or infinity"),
        (spoiled(NAN), {"observed": mask()}, "Observation 1 holds NaN"),
        (images_like(), {"observed": mask(empty=2)}, "Nothing of observation 2 is observed"),
        (images_like(NAN), {"observed": mask(empty=0)}, "Nothing of observation 0 is observed"),
        (images_like(), {"observed": torch.ones(3, 1, 4, 4)}, r"mask has shape \(3, 1, 4, 4\)"),
        (images_like(), {"observed": mask(2)}, r"mask has shape \(2, 1, 8, 8\)"),
        (images_like(), {"observed": torch.ones(8, 8)}, r"mask has shape \(8, 8\)"),
        (images_like(), {"observed": NAN * mask()}, "mask holds NaN"),
        (images_like(), {"operator": lambda x: x[:1]}, "keep the first dimension"),
        (images_like(), {"operator": lambda x: x.sum()}, "keep the first dimension"),
        (images_like(), {"operator": lambda x: [x]}, "into list; it must keep"),
        (images_like(), {"operator": lambda x: x.flatten(1).mean(1)}, "keep the first dimension"),
        (images_like(), {"operator": lambda x: x.detach()}, "gives no gradient"),
        (images_like(), {"operator": lambda x: x / 0 * 0}, "NaN or infinity"),
        (images_like(), {"operator": AveragePool(factor=2)}, r"operator makes.*\(3, 4, 4\)"),
        (images_like(), {"operator": AveragePool(factor=3)}, "divides both sides"),
        (images_like(), {"answers": 0}, "answers is 0"),
        (images_like(), {"answers": 401}, "answers is 401; with 400 starts"),
        (images_like(), {"steps": 0}, "steps is 0"),
        (images_like(), {"noise": 0.0}, "noise is 0"),
        (images_like(), {"noise": NAN}, "noise is nan"),
        (images_like(), {"tolerance": -0.1}, "tolerance is -0.1"),
        (images_like(), {"tolerance": NAN}, "tolerance is nan"),
        (images_like(), {"prior": "locla"}, "'locla'.*Did you mean 'local'"),
        (images_like(), {"prior": lambda z: -z.square()}, r"gives shape \(2, 4\) for 2 codes"),
        (images_like(), {"prior": lambda z: -z.detach().sum(1)}, "without a gradient"),
    ],
)
def test_a_mistake_is_one_sentence(
    images: tuple[Decoder, InitialCodes], target: Tensor, choices: dict[str, Any], says: str
) -> None:
    decoder, starts = images
    with pytest.raises(UserError, match=says) as caught:
        invert(decoder, target, **{"starts": starts, **choices})
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


def test_observations_are_floating_point(images: tuple[Decoder, InitialCodes]) -> None:
    with pytest.raises(UserTypeError, match="uint8"):
        invert(images[0], images_like().to(torch.uint8), starts=images[1])


def test_starts_are_of_the_same_decoder(images: tuple[Decoder, InitialCodes], linear: Make) -> None:
    with pytest.raises(UserError, match="make them with decode_starts and this decoder"):
        invert(images[0], torch.zeros(2, 8), starts=linear()[1])


def test_starts_differ(images: tuple[Decoder, InitialCodes]) -> None:
    starts = decode_initial_codes(images[0], torch.zeros(9, 4))
    with pytest.raises(UserError, match="starts that differ"):
        invert(images[0], images_like(), starts=starts)


def test_hidden_nan_and_vectors_of_any_size_are_welcome(linear: Make) -> None:
    decoder, starts = linear()
    target = 1000 * torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    target[:, 3] = NAN
    found = invert(decoder, target, starts=starts, observed=~torch.isnan(target), constraint="free")
    assert bool(torch.isfinite(found.reconstructions).all())


def test_two_starts_are_enough(linear: Make) -> None:
    decoder, _ = linear()
    starts = decode_initial_codes(decoder, torch.tensor([[0.1, 0.2, 0.3], [0.0, -0.4, 0.1]]))
    found = invert(decoder, torch.zeros(3, 8), starts=starts, answers=2)
    assert bool(torch.isfinite(found.codes).all())
