"""Principal components, the linear baseline."""

from typing import final

import torch
from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.problem import Problem
from torch import Tensor, nn

from glo.latents.init import fit_pca

__all__ = ["learn_pca", "principal_components"]

_BATCH = 4096


@final
class _Principal(nn.Module):
    """Map codes to images, or images to codes if `inverse`, in float32."""

    mean: Tensor
    components: Tensor

    def __init__(self, shape: tuple[int, ...], dim: int, *, inverse: bool) -> None:
        super().__init__()
        width = torch.Size(shape).numel()
        self.shape, self.inverse = shape, inverse
        self.register_buffer("mean", torch.zeros(width))
        # A parameter: networks say by their parameters where they are.
        self.components = nn.Parameter(torch.zeros(dim, width), requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            if self.inverse:
                return (inputs.flatten(1) - self.mean) @ self.components.T
            images = self.mean + inputs @ self.components
            return images.view(-1, *self.shape).clamp(-1.0, 1.0)


def principal_components(problem: Problem) -> nn.ModuleDict:
    """Return the maps between codes and images, before they are fitted."""
    shape, dim = problem.train.shape, problem.code_dim
    maps = {"decoder": False, "encoder": True}
    return nn.ModuleDict({k: _Principal(shape, dim, inverse=v) for k, v in maps.items()})


def learn_pca(problem: Problem) -> LatentModel:
    """Fit D components, and project all training images on them."""
    watch = Stopwatch()
    pca = fit_pca(problem.train, problem.code_dim, seed=problem.seed)
    networks = principal_components(problem)
    for network in networks.values():
        network.load_state_dict({"mean": pca.mean, "components": pca.components})
    rows = torch.arange(len(problem.train)).split(_BATCH)
    codes = [networks["encoder"](problem.train.batch(part)) for part in rows]
    return LatentModel(networks=networks, codes=torch.cat(codes), training=watch.read())
