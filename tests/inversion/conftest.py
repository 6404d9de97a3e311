"""A linear decoder, whose inverse is known, and a small one for images."""

from collections.abc import Callable
from typing import Any, final

import pytest
import torch
from torch import Tensor

from glo.decoders import DCGAN, Decoder
from glo.inversion import InitialCodes, decode_initial_codes


@final
class Linear(Decoder):
    """x = W z + b."""

    name = "linear"

    def __init__(self, *, code_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__(code_dim=code_dim, shape=shape)
        self.map = torch.nn.Linear(code_dim, torch.Size(shape).numel())

    def forward(self, codes: Tensor) -> Tensor:
        made: Tensor = self.map(self.checked(codes))
        return made.view(len(codes), *self.shape)


Make = Callable[..., tuple[Decoder, InitialCodes]]


@pytest.fixture(scope="session")
def linear() -> Make:
    """Build a linear decoder and initial codes for it."""

    def make(code_dim: int = 3, shape: tuple[int, ...] = (8,), n: int = 300) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            decoder = Linear(code_dim=code_dim, shape=shape)
            torch.nn.init.normal_(decoder.map.weight, std=0.6)
            codes = torch.randn(n, code_dim) * torch.linspace(0.4, 1.0, code_dim)
        return decoder, decode_initial_codes(decoder, codes, precision="float32")

    return make


@pytest.fixture(scope="session")
def images() -> tuple[Decoder, InitialCodes]:
    """Return a small convolutional decoder with random weights, and initial codes in the ball."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        decoder = DCGAN(code_dim=4, shape=(3, 8, 8), width=8)
        with torch.no_grad():
            for weight in decoder.parameters():
                weight.mul_(20 if weight.ndim > 1 else 1)
        codes = torch.randn(400, 4)
        codes = 0.9 * codes / codes.norm(dim=1, keepdim=True).clamp(min=1.0)
    decoder.eval()
    return decoder, decode_initial_codes(decoder, codes, precision="float32")
