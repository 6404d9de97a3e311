"""The decoder's optimiser: torch's own, chosen by name."""

from collections.abc import Iterable
from typing import Any, final

from torch import Tensor, nn
from torch.optim import SGD, Adam, Muon, Optimizer

from glo.config.settings import Settings

__all__ = ["JointOptimizer", "decoder_optimizer"]

# A matrix thinner than this has too few directions for Muon's to matter.
_LEAST_SIDE = 32


@final
class JointOptimizer:
    """Several optimisers, each of its own parameters, that step as one.

    Example:
        >>> import torch
        >>> weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))]
        >>> both = JointOptimizer([SGD(weights[:1], lr=1.0), Adam(weights[1:])])
        >>> len(both.param_groups)
        2
    """

    def __init__(self, parts: Iterable[Optimizer]) -> None:
        self.parts = tuple(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all parts, in order."""
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Tensor, Any]:
        """What is remembered of each parameter; changes go through to the part that owns it."""
        return {
            parameter: part.state[parameter]
            for part in self.parts
            for group in part.param_groups
            for parameter in group["params"]
        }

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Move all parameters."""
        for part in self.parts:
            part.step()


def decoder_optimizer(settings: Settings, decoder: nn.Module) -> JointOptimizer:
    """Return the optimiser of a decoder's weights.

    `muon` moves hidden matrices along the nearest orthogonal matrix to their momentum, so that no
    direction of a layer is left behind, at a rate matched to Adam's; the rest goes by Adam.

    Args:
        settings: `decoder_optimizer`, `decoder_lr`, `decoder_betas`.
        decoder: whose parameters move.

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the matched
        rate: Liu et al., "Muon is scalable for LLM training", 2025, equation 4.

    Example:
        >>> layers = nn.Sequential(nn.Linear(32, 64), nn.Linear(64, 1))
        >>> [type(part).__name__ for part in decoder_optimizer(Settings(), layers).parts]
        ['Muon', 'Adam']
    """
    rate, parameters = settings.decoder_lr, list(decoder.parameters())
    if settings.decoder_optimizer == "sgd":
        return JointOptimizer([SGD(parameters, lr=rate)])
    # Muon is for hidden layers; the last matrix makes the example.
    hidden = [p for p in parameters if p.ndim == 2][:-1]
    wide = [p for p in hidden if min(p.shape) >= _LEAST_SIDE]
    if settings.decoder_optimizer == "adam":
        wide = []
    matrices = {id(p) for p in wide}
    rest = [p for p in parameters if id(p) not in matrices]
    parts: list[Optimizer] = []
    if wide:
        parts.append(Muon(wide, lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"))
    if rest:
        parts.append(Adam(rest, lr=rate, betas=settings.decoder_betas, fused=True))
    return JointOptimizer(parts)
