"""IMLE: coverage of all modes of the codes."""

import pytest
import torch

from glo.errors import UserError
from glo.priors import IMLEPrior
from glo.utils.random import normal


def small(**settings: int) -> IMLEPrior:
    return IMLEPrior(**{"passes": 60, "pool": 512, "width": 32, "blocks": 1, **settings})  # type: ignore[arg-type]


def test_a_small_distant_mode_is_covered() -> None:
    codes = 0.2 * normal(2, 0, 300, 2, stream="codes")
    codes[:6] += 3.0
    drawn = small().fit(codes).sample(3000)
    assert torch.cdist(codes[:6], drawn).min(1).values.max() < 1.0


def test_each_code_has_a_sample_near_it() -> None:
    codes = normal(2, 0, 300, 2, stream="codes").tanh()
    near = torch.cdist(codes, small().fit(codes).sample(3000)).min(1).values
    assert float(near.max()) < 0.25


def test_temperature_scales_the_noise() -> None:
    prior = small(passes=2).fit(normal(2, 0, 100, 3, stream="codes"))
    noise = normal(1, 0, 128, 3, stream="samples")
    assert torch.equal(
        prior.from_noise(noise, temperature=0.5), prior.from_noise(0.5 * noise, temperature=1.0)
    )


@pytest.mark.parametrize("name", ["passes", "pool", "part", "batch_size", "width"])
def test_invalid_settings_are_named(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} is 0"):
        small(**{name: 0})
