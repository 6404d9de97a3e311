"""Pythae's autoencoders with its mixture sampler.

Models, losses and sampling are Pythae's (0.1.2); the networks are ours: the study's decoder, and an
encoder that mirrors it. Pixels are in [0, 1], as Pythae wants them.

Two of its parts are not used as they are, each in its favour. Its trainer counts epochs and cannot
stop by the clock, so the loop below does what it does (Adam on `model(inputs).loss`; for RAE-L2
weight decay `reg_weight` on the decoder, as Pythae's pipeline sets up), with a cosine schedule over
the budget, and with bfloat16 where the machine gains from it, as for GLO. And its sampler decodes
all images it encodes only to throw them away, and iterates without limit: here a stand-in takes the
decoder's place meanwhile, and scikit-learn's mixture, made with the sampler's own parameters, stops
at the end of the budget. Samples are drawn by Pythae's sampler.

Constants are those of Pythae's own MNIST configurations (examples/scripts/configs/mnist): squared
error summed over pixels, half of it plus the KL divergence for the VAE; WAE: MMD with the inverse
multiquadratic kernel of width 2 and weight 1; RAE-L2: 0.01 on half the squared code length, weight
decay 1e-4.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from benchmarks.compare.budget import Stopwatch, cosine
from benchmarks.compare.mixture import fit_mixture
from benchmarks.compare.networks import Mirror
from benchmarks.compare.problem import Made, Problem
from pythae.data.datasets import DatasetOutput
from pythae.models import (
    AE,
    RAE_L2,
    VAE,
    WAE_MMD,
    AEConfig,
    BaseAE,
    RAE_L2_Config,
    VAEConfig,
    WAE_MMD_Config,
)
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from glo.decoders import DCGAN
from glo.utils.device import autocast, channels_last
from glo.utils.files import atomic_write

__all__ = ["MODELS", "make_pythae"]

MODELS: dict[str, tuple[type[BaseAE], type[AEConfig], dict[str, Any]]] = {
    "ae": (AE, AEConfig, {}),
    "vae": (VAE, VAEConfig, {"reconstruction_loss": "mse"}),
    "wae": (WAE_MMD, WAE_MMD_Config, {"reg_weight": 1.0, "kernel_bandwidth": 2.0}),
    "rae-l2": (RAE_L2, RAE_L2_Config, {"embedding_weight": 1e-2, "reg_weight": 1e-4}),
}

_RATE = 1e-3
# Share of the budget that is kept for encoding the data and fitting the mixture.
_SAMPLER = 0.2
_BATCH = 500
_CPU = torch.device("cpu")


def make_pythae(problem: Problem, name: str, components: int) -> Made:
    """Train or load one of Pythae's models, fit its mixture, and draw samples.

    Args:
        problem: the task.
        name: "ae", "vae", "wae" or "rae-l2".
        components: Gaussians of the mixture.
    """
    model, facts = _trained(problem, name)
    watch = Stopwatch()
    torch.manual_seed(problem.seed)
    codes = _codes(model, problem)
    left = problem.seconds - facts["training"]["cpu"] - watch.cpu
    mixture, text = fit_mixture(codes, components, seconds=left, seed=problem.seed)
    fitting = watch.read()

    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=components))
    sampler.gmm, sampler.is_fitted = mixture, True
    # The mixture draws each batch anew from its seed; Pythae's has none.
    mixture.random_state = np.random.RandomState(problem.seed)
    with torch.no_grad(), autocast(_CPU, "auto"):
        drawn = sampler.sample(problem.n_samples, batch_size=_BATCH)
        # A mixture hands a batch out one component after another.
        drawn = drawn[torch.randperm(len(drawn))]
        images = (problem.train.batch(part) for part in problem.rebuilt_rows.split(_BATCH))
        rebuilt = torch.cat([model.predict(_to_unit(batch)).recon_x for batch in images])
    return Made(
        samples=_from_unit(drawn),
        rebuilt=_from_unit(rebuilt),
        training=facts["training"],
        fitting=fitting,
        steps=facts["steps"],
        notes=(text,),
    )


@final
class _Encoder(BaseEncoder):
    def __init__(self, decoder: DCGAN, *, variational: bool) -> None:
        super().__init__()
        self.net = Mirror(decoder, decoder.code_dim * (2 if variational else 1))
        self.variational = variational

    def forward(self, x: Tensor) -> ModelOutput:
        # The networks see pixels in [-1, 1], as GLO's and the GAN's do.
        out = self.net(2.0 * x - 1.0)
        if not self.variational:
            return ModelOutput(embedding=out)
        mean, log_variance = out.chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


@final
class _Decoder(BaseDecoder):
    def __init__(self, decoder: DCGAN) -> None:
        super().__init__()
        self.net = decoder

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=_to_unit(self.net(z)))


@final
class _NoDecoder(BaseDecoder):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.zeros(1).expand(len(z), *self.shape))


def _to_unit(images: Tensor) -> Tensor:
    return (images + 1.0) / 2.0


def _from_unit(images: Tensor) -> Tensor:
    return (2.0 * images - 1.0).contiguous()


def _build(problem: Problem, name: str) -> BaseAE:
    kind, config, constants = MODELS[name]
    decoder = problem.decoder()
    encoder = _Encoder(decoder, variational=name == "vae")
    about = config(input_dim=problem.train.shape, latent_dim=problem.code_dim, **constants)
    return channels_last(kind(about, encoder=encoder, decoder=_Decoder(decoder)))


def _trained(problem: Problem, name: str) -> tuple[BaseAE, dict[str, Any]]:
    path = problem.folder / "models" / f"{name}.safetensors"
    model = _build(problem, name)
    if path.is_file():
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            model.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        return model.eval(), facts
    facts = _train(problem, model, decay=getattr(model.model_config, "reg_weight", 0.0), name=name)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    with atomic_write(path) as writing:
        save_file(state, writing, {"facts": json.dumps(facts)})
    return model.eval(), facts


def _train(problem: Problem, model: BaseAE, *, decay: float, name: str) -> dict[str, Any]:
    watch, steps, seconds = Stopwatch(), 0, (1.0 - _SAMPLER) * problem.seconds
    groups = [
        {"params": list(model.encoder.parameters())},
        # WAE's reg_weight is that of the MMD; only RAE-L2's is a weight decay.
        {
            "params": list(model.decoder.parameters()),
            "weight_decay": decay if name == "rae-l2" else 0.0,
        },
    ]
    optimizer = torch.optim.Adam(groups, lr=_RATE, fused=True)
    model.train()
    torch.manual_seed(problem.seed)
    for images in problem.batches():
        share = watch.share(seconds)
        if share >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = _RATE * cosine(share)
        with autocast(_CPU, "auto"):
            loss = model(DatasetOutput(data=_to_unit(images))).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps += 1
    return {"training": watch.read(), "steps": steps}


@torch.no_grad()
def _codes(model: BaseAE, problem: Problem) -> Tensor:
    # What Pythae's sampler fits its mixture to: `z` of the model's output, for the VAE a draw.
    with _without_decoder(model, problem.train.shape), autocast(_CPU, "auto"):
        rows = torch.arange(len(problem.train)).split(_BATCH)
        images = (_to_unit(problem.train.batch(part)) for part in rows)
        return torch.cat([model.embed(batch).float() for batch in images])


@contextmanager
def _without_decoder(model: BaseAE, shape: tuple[int, ...]) -> Iterator[None]:
    kept = model.decoder
    model.decoder = _NoDecoder(shape)
    try:
        yield
    finally:
        model.decoder = kept
