"""Result of training: networks and the codes of the training images, kept for all samplers."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from benchmarks.compare.problem import Problem
from torch import Tensor, nn

from glo.decoders.decode import decode
from glo.latents.constraints import Constraint
from glo.priors import MixturePrior, Prior
from glo.utils.device import autocast, channels_last
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import read_header, read_tensors, write_tensors

__all__ = ["LatentModel", "load_or_learn"]

_BATCH = 500
_NETWORKS, _PRIOR = "networks.", "prior."


@dataclass(frozen=True, kw_only=True)
class LatentModel:
    """A trained decoder, and codes that it decodes.

    Args:
        networks: "decoder", from codes to images, and "encoder" where there is one, whose first D
            outputs are the code.
        codes: codes of the training images, (N, D), or noise for a model without such codes.
        training: CPU and wall seconds of training, encoding included.
        steps: updates of the decoder.
        prior: mixture that was learned together with the codes, or None.
        constraint: constraint of the codes.
        notes: sentences for the reader.
        facts: other numbers, ready for JSON.
    """

    networks: nn.ModuleDict
    codes: Tensor
    training: dict[str, float]
    steps: int = 0
    prior: Prior | None = None
    constraint: Constraint = "free"
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def has_encoder(self) -> bool:
        """Whether a single pass gives the code of an image."""
        return "encoder" in self.networks

    def decode(self, codes: Tensor) -> Tensor:
        """Return images (n, C, H, W) in [-1, 1]."""
        return decode(self.networks["decoder"], codes)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return codes (n, D) by the encoder."""
        encoder, dim = self.networks["encoder"].eval(), self.codes.shape[1]
        with autocast(torch.device("cpu"), "auto"):
            parts = [encoder(part)[:, :dim].float() for part in images.split(_BATCH)]
        return torch.cat(parts)


def load_or_learn(
    problem: Problem,
    name: str,
    learn: Callable[[Problem], LatentModel],
    networks: Callable[[Problem], nn.ModuleDict],
) -> LatentModel:
    """Return a trained model, from its file if it exists.

    Args:
        problem: the task.
        name: name of the file.
        learn: trains the model.
        networks: builds its untrained networks.
    """
    path = problem.folder / "models" / f"{name}.safetensors"
    if not path.is_file():
        model = learn(problem)
        tensors = {_NETWORKS + k: v.contiguous() for k, v in model.networks.state_dict().items()}
        if model.prior is not None:
            tensors |= {_PRIOR + key: value for key, value in model.prior.state_dict().items()}
        about = {
            name: getattr(model, name)
            for name in ("training", "steps", "constraint", "notes", "facts")
        }
        with atomic_write(path) as writing:
            metadata = {"about": json.dumps(about)}
            write_tensors(writing, tensors | {"codes": model.codes.contiguous()}, metadata)
    tensors, about = read_tensors(path), json.loads(read_header(path).about["about"])
    empty = networks(problem)
    empty.load_state_dict(_part(tensors, _NETWORKS))
    prior = _part(tensors, _PRIOR)
    return LatentModel(
        networks=channels_last(empty).eval(),
        codes=tensors["codes"],
        prior=MixturePrior().load_state_dict(prior) if prior else None,
        **(about | {"notes": tuple(about["notes"])}),
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
