"""What every decoder must hold."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from glo.decoders import (
    DCGAN,
    MLP,
    Decoder,
    ResNet,
    TensorLayerDCGAN,
    build_decoder,
)

DECODERS: dict[str, Callable[[], Decoder]] = {
    "dcgan-8": lambda: DCGAN(code_dim=3, shape=(1, 8, 8), width=4),
    "dcgan-16-color": lambda: DCGAN(code_dim=5, shape=(3, 16, 16), width=4),
    "dcgan-32": lambda: DCGAN(code_dim=8, shape=(1, 32, 32), width=8),
    "dcgan-128": lambda: DCGAN(code_dim=4, shape=(3, 128, 128), width=2),
    "tensorlayer-16": lambda: TensorLayerDCGAN(code_dim=4, shape=(1, 16, 16)),
    "tensorlayer-32-color": lambda: TensorLayerDCGAN(code_dim=4, shape=(3, 32, 32)),
    "residual-8": lambda: ResNet(code_dim=3, shape=(1, 8, 8), width=4),
    "residual-16-batch": lambda: ResNet(code_dim=5, shape=(3, 16, 16), width=5, norm="batch"),
    "residual-64": lambda: ResNet(code_dim=4, shape=(3, 64, 64), width=4),
    "mlp": lambda: MLP(code_dim=4, shape=(7,), hidden=(16, 9)),
    "mlp-linear": lambda: MLP(code_dim=4, shape=(7,), hidden=()),
}


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    torch.manual_seed(0)
    return DECODERS[request.param]()


def codes_for(decoder: Decoder, batch: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, decoder.code_dim, generator=generator, dtype=dtype)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_shape_range_and_type(decoder: Decoder, batch: int) -> None:
    output = decoder(codes_for(decoder, batch))
    assert output.shape == (batch, *decoder.shape)
    assert output.dtype == torch.float32
    if len(decoder.shape) == 3:
        assert output.abs().max() <= 1


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_training_step_reaches_every_parameter_and_code(decoder: Decoder, batch: int) -> None:
    codes = codes_for(decoder, batch).requires_grad_()
    output = decoder.train()(codes)
    (output - torch.rand(output.shape)).square().sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert codes.grad is not None
    assert codes.grad.any(dim=1).all()


def test_config_round_trip_through_json(decoder: Decoder) -> None:
    config = json.loads(json.dumps(decoder.config))
    assert config == decoder.config
    twin = build_decoder(config).eval()
    assert type(twin) is type(decoder)
    assert twin.config == decoder.config
    twin.load_state_dict(decoder.state_dict())
    codes = codes_for(decoder, 3)
    assert torch.equal(twin(codes), decoder.eval()(codes))


def test_the_same_torch_seed_makes_the_same_weights(decoder: Decoder) -> None:
    torch.manual_seed(0)
    twin = build_decoder(decoder.config)
    for name, value in decoder.state_dict().items():
        assert torch.equal(twin.state_dict()[name], value), name


def test_evaluation_decodes_each_row_alone(decoder: Decoder) -> None:
    decoder(codes_for(decoder, 7))  # move the running statistics off their start
    decoder.eval()
    codes = codes_for(decoder, 7)
    alone = torch.cat([decoder(code[None]) for code in codes])
    torch.testing.assert_close(decoder(codes), alone, atol=1e-5, rtol=1e-4)


def test_evaluation_of_no_rows(decoder: Decoder) -> None:
    assert decoder.eval()(codes_for(decoder, 0)).shape == (0, *decoder.shape)


@pytest.mark.parametrize("training", [True, False])
def test_channels_last_agrees(decoder: Decoder, training: bool) -> None:
    codes = codes_for(decoder, 4)
    decoder.train(training)
    plain = decoder(codes)
    moved: dict[str, Any] = {"memory_format": torch.channels_last}
    again = decoder.to(**moved)(codes)
    torch.testing.assert_close(again, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_agrees_and_returns_float32(decoder: Decoder, training: bool) -> None:
    codes = codes_for(decoder, 8)
    decoder.train(training)
    plain = decoder(codes)
    with torch.autocast("cpu", torch.bfloat16):
        rough = decoder(codes)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, plain, atol=0.03, rtol=0.03)


def test_float64_stays_float64(decoder: Decoder) -> None:
    codes = codes_for(decoder, 2, torch.float64)
    assert decoder.double()(codes).dtype == torch.float64


def test_code_gradient_is_the_derivative(decoder: Decoder) -> None:
    decoder.double().eval()
    codes = codes_for(decoder, 1, torch.float64)
    step = torch.randn(codes.shape, dtype=torch.float64) * 1e-6
    tangent = torch.autograd.functional.jvp(decoder, codes, step)[1]
    secant = (decoder(codes + step) - decoder(codes - step)) / 2
    torch.testing.assert_close(secant, tangent, atol=1e-12, rtol=1e-4)
