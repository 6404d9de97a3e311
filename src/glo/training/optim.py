"""Optimizers of decoder weights: SGD, Adam, or Muon for hidden matrices and Adam for the rest."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Muon, Optimizer

from glo.config.settings import Settings

# A matrix with a shorter side has too few directions for Muon to matter.
MIN_SIDE = 32


def _as_matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """View a weight or its gradient as a matrix: the first dimension by all others in memory."""
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.detach().view(len(tensor), -1)


@final
class MatrixMuon(Muon):
    """Muon for weights of two or more dimensions, such as kernels of convolutions.

    Moves hidden matrices along the nearest orthogonal matrix to their momentum, at a rate matched
    to Adam's, so that all directions of a layer are trained. Each weight, contiguous or
    channels-last, is updated as the matrix of its first dimension by all others, which shares its
    memory.

    References:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the matched
        rate: Liu et al., "Muon is scalable for LLM training", 2025, equation 4.
    """

    def __init__(self, weights: Iterable[nn.Parameter], *, lr: float) -> None:
        self._weights = list(weights)
        matrices = [_as_matrix(weight, weight) for weight in self._weights]
        super().__init__(matrices, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Any = None) -> Any:
        """Update all weights that have a gradient."""
        for weight, matrix in zip(self._weights, self.param_groups[0]["params"], strict=True):
            # Autograd lays a gradient out in memory as its weight.
            matrix.grad = None if weight.grad is None else _as_matrix(weight.grad, weight)
        return super().step(closure)  # type: ignore[no-untyped-call]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of the weights and of their views."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            if set_to_none:
                weight.grad = None
            elif weight.grad is not None:
                weight.grad.zero_()


@final
class ChainedOptimizer:
    """Several optimizers, each of other parameters, that step as one."""

    def __init__(self, optimizers: Iterable[Optimizer]) -> None:
        self.optimizers = tuple(optimizers)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all optimizers, in order."""
        return [group for part in self.optimizers for group in part.param_groups]

    @property
    def state(self) -> dict[Tensor, Any]:
        """The state of each parameter; the dict of a parameter is that of its optimizer."""
        return {
            parameter: part.state[parameter]
            for part in self.optimizers
            for group in part.param_groups
            for parameter in group["params"]
        }

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Reset all gradients."""
        for part in self.optimizers:
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Update all parameters."""
        for part in self.optimizers:
            part.step()


def decoder_optimizer(settings: Settings, decoder: nn.Module) -> ChainedOptimizer:
    """Build the optimizer of a decoder's weights, which are on their device already.

    Example:
        >>> layers = nn.Sequential(nn.Linear(32, 64), nn.Linear(64, 1))
        >>> optimizer = decoder_optimizer(Settings(), layers)
        >>> [type(part).__name__ for part in optimizer.optimizers]
        ['MatrixMuon', 'Adam']
    """
    lr, parameters = settings.decoder_lr, list(decoder.parameters())
    if settings.decoder_optimizer == "sgd":
        return ChainedOptimizer([SGD(parameters, lr=lr)])
    # Muon is for hidden layers; the last matrix makes the example.
    hidden = [p for p in parameters if p.ndim >= 2][:-1]
    wide = [p for p in hidden if len(p) >= MIN_SIDE and p[0].numel() >= MIN_SIDE]
    if settings.decoder_optimizer == "adam":
        wide = []
    matrices = {id(p) for p in wide}
    rest = [p for p in parameters if id(p) not in matrices]
    parts: list[Optimizer] = []
    if wide:
        parts.append(MatrixMuon(wide, lr=lr))
    if rest:
        parts.append(Adam(rest, lr=lr, betas=settings.decoder_betas, fused=True))
    return ChainedOptimizer(parts)
