"""A run as two functions of tensors, ready to be written as graphs: noise to codes to examples."""

from typing import Any, final

from torch import Tensor, nn

from glo.errors import UserError
from glo.latents.constraints import project
from glo.priors import Prior
from glo.runs.run import Run
from glo.training.factory import load_standardizer

__all__ = ["DecoderGraph", "SamplerGraph"]

# Those whose way from noise to codes is a fixed number of tensor operations, each tried.
_PRIORS = ("gaussian", "mixture", "flow-matching", "imle")


@final
class DecoderGraph(nn.Module):
    """Map codes (B, D) to examples (B, *shape), vectors in the units of the data.

    Args:
        run: with a checkpoint.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        # A network of its own: that of the run may be on another device.
        self.decoder = run.checkpoint.decoder()
        self.columns = load_standardizer(self.decoder)

    def forward(self, codes: Tensor) -> Tensor:
        """Return float32 (B, *shape), images in [-1, 1]."""
        examples: Tensor = self.decoder(codes)
        return examples if self.columns is None else self.columns.inverse_transform(examples)


@final
class SamplerGraph(nn.Module):
    """Map standard normal noise (B, noise_dim) to codes (B, D) that satisfy the constraint.

    Args:
        prior: fitted.

    Raises:
        UserError: its way from noise to codes cannot be written as a graph.

    Example:
        >>> import torch
        >>> from glo.priors import build_prior
        >>> prior = build_prior("gaussian", constraint="ball").fit(torch.eye(3))
        >>> sampler = SamplerGraph(prior)
        >>> codes = sampler(torch.ones(2, prior.noise_dim), torch.tensor(1.0))
        >>> bool((codes.norm(dim=1) < 1.001).all())
        True
        >>> SamplerGraph(build_prior("normalizing-flow"))
        Traceback (most recent call last):
        glo.errors.UserError: The prior normalizing-flow cannot be exported; choose one of \
gaussian, mixture, flow-matching, imle.
    """

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        if prior.name not in _PRIORS:
            raise UserError(
                f"The prior {prior.name} cannot be exported; choose one of {', '.join(_PRIORS)}."
            )
        self.prior = prior

    def forward(self, noise: Tensor, temperature: Any) -> Tensor:
        """Return float32 (B, D).

        Args:
            noise: float32 (B, noise_dim).
            temperature: float32 (), factor of the spread; a tensor, so that it stays an input.
        """
        return project(self.prior.from_noise(noise, temperature=temperature), self.prior.constraint)
