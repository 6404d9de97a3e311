"""Optimizers of decoder weights: SGD, Adam, or Muon for hidden matrices and Adam for the rest."""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from glo.config.settings import Settings
from glo.utils.device import gains_from_bf16
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup

# A matrix with a shorter side has too few directions for Muon to matter.
MIN_SIDE = 32
# With a larger part of the work left to one process, messages cost what the others save.
MAX_SHARE = 0.75

_MOMENTUM = 0.95
# Coefficients a, b, c of a s + b s^3 + c s^5. Applied in turn to a singular value s in [0.01, 1]
# they give one in [0.67, 1.20]; smaller ones grow 73 times. Each is the minimax approximation of 1
# on the range of the one before it, widened by 1 % for rounding errors; the last is scaled, so
# that the mean over a decoder's momenta is near that of torch's five iterations, and its learning
# rates hold: `benchmarks/muon.py` fits and compares them.
QUINTICS = (
    (8.0934, -23.6204, 17.4462),
    (3.6134, -2.6553, 0.5133),
    (2.5010, -1.8339, 0.4113),
)
# Of the bound of squares: the first polynomial is steep at 1, and bfloat16 rounds.
_MARGIN = 1.04
# Only a matrix of zeros, which stays one, has a smaller squared norm, and a smaller bound after it.
_MIN_TRACE, _MIN_BOUND = 1e-30, 1e-6


def orthogonal_factor(matrix: Tensor) -> Tensor:
    """Return what `apply_factor` needs to replace the singular values of a matrix by about 1.

    That is (X X^T)^(-1/2), of the shorter side, for an oblong matrix X, and its polar factor for
    another. An oblong matrix takes part in two products only, and its smaller Gram matrix in the
    others. Nothing is read back to the host.
    """
    wide = _wide(matrix)
    return _inverse_root(wide) if _is_oblong(wide) else _polar_factor(wide)


def apply_factor(weight: Tensor, matrix: Tensor, factor: Tensor) -> None:
    """Add to a weight, in place, a matrix orthogonalized by its factor, which may be scaled."""
    target, wide = _wide(weight), _wide(matrix)
    if _is_oblong(wide):
        target.addmm_(factor, wide)
    else:
        target.add_(factor)


def _inverse_root(wide: Tensor) -> Tensor:
    # In float32: the eigenvalues are squares of singular values. Polynomials of one matrix commute.
    gram, square, bound = _bounded_powers(wide @ wide.T)
    root = factor = None
    for a, b, c in QUINTICS:
        if factor is not None:
            gram = factor @ gram @ factor
            square = gram @ gram
        factor = gram.mul(b).add_(square, alpha=c)
        factor.diagonal().add_(a)
        root = factor if root is None else factor @ root
    assert root is not None, "there are polynomials"
    return root.div_(bound.sqrt())


def _polar_factor(wide: Tensor) -> Tensor:
    matrix = wide.bfloat16() if gains_from_bf16(wide.device) else wide
    gram, square, bound = _bounded_powers(matrix @ matrix.T)
    matrix = matrix / bound.sqrt()
    for index, (a, b, c) in enumerate(QUINTICS):
        if index > 0:
            gram = matrix @ matrix.T
            square = gram @ gram
        matrix = torch.addmm(matrix, gram.mul(b).add_(square, alpha=c), matrix, beta=a)
    return matrix.to(wide.dtype)


def _bounded_powers(gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return A = G / b, A^2, and b, a close bound of the eigenvalues of a Gram matrix G."""
    # First by the trace: a square of a square of small gradients would be zero.
    trace = gram.trace().clamp(min=_MIN_TRACE)
    gram = gram / trace
    square = gram @ gram
    bound = square.norm().sqrt().clamp(min=_MIN_BOUND) * _MARGIN
    return gram / bound, square / bound / bound, trace * bound


def _wide(matrix: Tensor) -> Tensor:
    """View a matrix with its shorter side first."""
    return matrix if len(matrix) <= matrix.shape[1] else matrix.T


def _is_oblong(wide: Tensor) -> bool:
    return wide.shape[1] >= 2 * len(wide)


def _as_matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """View a tensor laid out as a weight as a matrix: the first dimension by all others."""
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.detach().view(len(tensor), -1)


def _shares(matrices: list[Tensor], processes: int) -> list[int] | None:
    """Return the process that orthogonalizes each matrix; None: sharing the work gains little."""
    work = []
    for wide in map(_wide, matrices):
        short, long = wide.shape
        products = long + 9 * short if _is_oblong(wide) else 6 * long + 3 * short
        work.append(short * short * products)
    loads, owners = [0] * processes, [0] * len(matrices)
    for index in sorted(range(len(work)), key=lambda each: -work[each]):
        owners[index] = loads.index(min(loads))
        loads[owners[index]] += work[index]
    return owners if max(loads) <= MAX_SHARE * sum(loads) else None


@final
class MatrixMuon(Optimizer):
    """Muon for weights of two or more dimensions, such as kernels of convolutions.

    Moves hidden matrices along the nearest orthogonal matrix to their Nesterov momentum, at a rate
    matched to Adam's, so that all directions of a layer are trained. Each weight, contiguous or
    channels-last, is updated as the matrix of its first dimension by all others, which shares its
    memory. Three iterations with fitted coefficients take the place of five of `torch.optim.Muon`.

    Args:
        weights: parameters of two or more dimensions.
        lr: learning rate, a number or a tensor.
        ranks: processes that have the same weights and gradients. Each orthogonalizes a part of
            the matrices and sends the results to the others, unless one matrix is most of the work.

    Attributes:
        found_inf: None, or a scalar tensor: where it is 1, a step changes nothing. The convention
            of torch's fused optimizers.

    References:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the matched
        rate: Liu et al., "Muon is scalable for LLM training", 2025, equation 4; the coefficients:
        Amsel et al., "The Polar Express", 2025.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        *,
        lr: float | Tensor,
        ranks: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        super().__init__(weights, {"lr": lr})
        self.found_inf: Tensor | None = None
        self._ranks = ranks

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update all weights that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            directions = [self._direction(weight) for weight in weights]
            factors = self._factors(directions)
            for weight, direction, factor in zip(weights, directions, factors, strict=True):
                rate = -0.2 * math.sqrt(max(direction.shape)) * group["lr"]
                if self.found_inf is not None:
                    rate = rate * (1 - self.found_inf)
                apply_factor(_as_matrix(weight, weight), direction, factor.mul_(rate))
        return loss

    def _direction(self, weight: Tensor) -> Tensor:
        """Add the gradient to the momentum; return the Nesterov momentum as a matrix."""
        gradient, state = weight.grad, self.state[weight]
        assert gradient is not None, "a weight without a gradient is left out"
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        momentum: Tensor = state["momentum_buffer"]
        if self.found_inf is not None:
            # A gradient equal to the momentum leaves it as it is, to the bit.
            gradient = torch.where(self.found_inf == 1, momentum, gradient)
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        # Autograd lays a gradient out in memory as its weight.
        return _as_matrix(gradient.lerp(momentum, _MOMENTUM), weight)

    def _factors(self, directions: list[Tensor]) -> list[Tensor]:
        owners = _shares(directions, self._ranks.size)
        if owners is None:
            return [orthogonal_factor(direction) for direction in directions]
        factors = []
        for direction, owner in zip(directions, owners, strict=True):
            if owner == self._ranks.rank:
                factors.append(orthogonal_factor(direction))
            else:
                short, long = _wide(direction).shape
                side = short if _is_oblong(_wide(direction)) else long
                factors.append(direction.new_empty(short, side))
        self._ranks.broadcast_tensors(factors, owners)
        return factors


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

    def step(self, found_inf: Tensor | None = None) -> None:
        """Update all parameters; change nothing where `found_inf`, a scalar tensor, is 1."""
        for part in self.optimizers:
            # The convention of torch's fused optimizers, made for its GradScaler.
            part.found_inf = found_inf  # type: ignore[attr-defined]
            part.step()


def decoder_optimizer(
    settings: Settings, decoder: nn.Module, ranks: ProcessGroup = SINGLE_PROCESS
) -> ChainedOptimizer:
    """Build the optimizer of a decoder's weights, which are on their device already.

    Example:
        >>> layers = nn.Sequential(nn.Linear(32, 64), nn.Linear(64, 1))
        >>> optimizer = decoder_optimizer(Settings(), layers)
        >>> [type(part).__name__ for part in optimizer.optimizers]
        ['MatrixMuon', 'Adam']
    """
    lr, parameters = settings.decoder_lr, list(decoder.parameters())
    if settings.decoder_optimizer == "sgd":
        return ChainedOptimizer([SGD(parameters, lr=lr, fused=True)])
    # Muon is for hidden layers; the last matrix makes the example.
    hidden = [p for p in parameters if p.ndim >= 2][:-1]
    wide = [p for p in hidden if len(p) >= MIN_SIDE and p[0].numel() >= MIN_SIDE]
    if settings.decoder_optimizer == "adam":
        wide = []
    matrices = {id(p) for p in wide}
    rest = [p for p in parameters if id(p) not in matrices]
    parts: list[Optimizer] = []
    if wide:
        parts.append(MatrixMuon(wide, lr=lr, ranks=ranks))
    if rest:
        parts.append(Adam(rest, lr=lr, betas=settings.decoder_betas, fused=True))
    return ChainedOptimizer(parts)
