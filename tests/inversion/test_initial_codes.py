"""Initial codes are decoded once; the nearest under any mask are those of a plain comparison."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from glo.decoders import Decoder
from glo.errors import UserError
from glo.inversion import AveragePool, InitialCodes, decode_initial_codes
from glo.inversion.initial_codes import InitialObservations

Make = Callable[..., tuple[Decoder, InitialCodes]]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("masks", [None, 1, 6])
def test_the_nearest_are_those_of_a_plain_comparison(
    masks: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.inversion.initial_codes._CHUNK", 11)
    values, target = draw(40, 7), draw(6, 7, seed=1)
    mask = None if masks is None else (draw(masks, 7, seed=2) > 0).float()
    weight = torch.ones(1, 7) if mask is None else mask
    target = target * weight
    distance = ((values[None] * weight[:, None] - target[:, None]) ** 2).sum(2)
    expected = distance.argsort(1)[:, :15]
    initial = InitialObservations(codes=draw(40, 2), observations=values)
    assert torch.equal(initial.nearest(target, mask, 15), expected)


def test_initial_are_evenly_spaced_codes_and_what_they_decode_to(linear: Make) -> None:
    decoder, _ = linear()
    codes = draw(100, 3)
    initial = decode_initial_codes(decoder, codes, max_codes=34, precision="float32")
    assert torch.equal(initial.codes, codes[::3])
    with torch.no_grad():
        torch.testing.assert_close(initial.examples, decoder(codes[::3]))
    offset = codes[::3] - codes[::3].mean(0)
    assert initial.codes_spread == pytest.approx(float(offset.norm(dim=1).square().mean().sqrt()))
    assert initial.examples_spread == pytest.approx(
        float(initial.examples.var(0, correction=0).mean().sqrt())
    )


def test_initial_fit_the_memory_that_they_may_take(
    linear: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.inversion.initial_codes._MAX_NUMBERS", 80)
    assert len(decode_initial_codes(linear()[0], draw(100, 3))) == 10


def test_images_are_kept_in_half_precision_and_seen_through_the_operator(
    images: tuple[Decoder, InitialCodes],
) -> None:
    _, initial = images
    assert initial.examples.dtype == torch.float16
    values = initial.observe(AveragePool(factor=4)).observations
    expected = initial.examples.float().view(400, 3, 2, 4, 2, 4).mean((3, 5)).flatten(1)
    torch.testing.assert_close(values.float(), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("shape", [(1, 3), (5, 4), (5,), (5, 3, 1)])
def test_codes_must_be_the_decoders(linear: Make, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="codes have shape"):
        decode_initial_codes(linear()[0], torch.zeros(shape))


def test_a_search_needs_two_initial(linear: Make) -> None:
    with pytest.raises(UserError, match="max_codes is 1"):
        decode_initial_codes(linear()[0], torch.zeros(5, 3), max_codes=1)


def test_the_decoder_comes_back_as_it_was(linear: Make) -> None:
    decoder: Any = linear()[0].train()
    first = next(decoder.parameters()).requires_grad_(False)
    decode_initial_codes(decoder, draw(5, 3))
    assert decoder.training
    assert [p.requires_grad for p in decoder.parameters()] == [False, True]
    first.requires_grad_(True)
